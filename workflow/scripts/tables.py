"""Lay the metrics of all experiments side by side: results.csv, and a page to read."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas

from affectflow.commandline import run, settings
from affectflow.evaluation.report import read_metrics
from affectflow.evaluation.spread import spread
from affectflow.evaluation.tables import results_table, write_results
from affectflow.figures.table import results_html
from affectflow.provenance.atomic import write_text
from affectflow.shards.embeddings import differences_in


def main(arguments: Namespace) -> None:
    results = results_table({path.parent.name: read_metrics(path) for path in arguments.metrics})
    folds = results_table({path.parent.name: read_metrics(path) for path in arguments.folds})
    over_runs = pandas.concat(
        [spread(results, arguments.repeated, "seeds"), spread(folds, arguments.folded, "folds")]
    )
    write_results(arguments.results, results)
    write_results(arguments.spread, over_runs)
    differing = [
        f"{path.stem}: {difference}"
        for path in arguments.embeddings
        for difference in differences_in(path)
    ]
    page = results_html(results, arguments.random, over_runs, arguments.about, differing)
    write_text(arguments.page, page)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--metrics", type=Path, nargs="*", default=[], help="EXPERIMENT/metrics.json")
parser.add_argument("--random", type=settings, default=[], help="experiments on random weights")
parser.add_argument("--repeated", type=settings, default={}, help="experiment to its runs")
parser.add_argument("--folds", type=Path, nargs="*", default=[], help="FOLD/metrics.json")
parser.add_argument("--folded", type=settings, default={}, help="experiment to its folds")
parser.add_argument("--embeddings", type=Path, nargs="*", default=[], help="joined embeddings")
parser.add_argument("--about", type=settings, default=[], help="what is said of the people")
parser.add_argument("--spread", type=Path, required=True, help="spread.csv to write")
parser.add_argument("--results", type=Path, required=True, help="results.csv to write")
parser.add_argument("--page", type=Path, required=True, help="results.html to write")
run(parser, main)
