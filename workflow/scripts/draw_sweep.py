"""Lay a sweep's members side by side on a page, with the chosen one's test figures."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.evaluation.choose import read_choice
from affectflow.evaluation.report import read_metrics
from affectflow.evaluation.tables import read_results, results_table
from affectflow.figures.sweep import sweep_html
from affectflow.provenance.atomic import write_text


def main(arguments: Namespace) -> None:
    page = sweep_html(
        arguments.name,
        read_choice(arguments.choice),
        arguments.values,
        arguments.runs,
        read_results(arguments.validation),
        results_table({path.parent.name: read_metrics(path) for path in arguments.metrics}),
        arguments.random,
        arguments.about,
    )
    write_text(arguments.page, page)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--name", required=True, help="the sweep's")
parser.add_argument("--choice", type=Path, required=True, help="choice.json")
parser.add_argument("--validation", type=Path, required=True, help="validation.csv")
parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="RUN/metrics.json")
parser.add_argument("--values", type=settings, required=True, help="member to its keys' values")
parser.add_argument("--runs", type=settings, required=True, help="member to its runs")
parser.add_argument("--random", action="store_true", help="a backbone has random weights")
parser.add_argument("--about", type=settings, default=[], help="what is said of the people")
parser.add_argument("--page", type=Path, required=True, help="sweep.html to write")
run(parser, main)
