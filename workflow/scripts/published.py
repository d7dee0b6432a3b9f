"""Lay the dissertation's numbers beside this run's: published.csv, and a page to read."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas

from affectflow.commandline import run, settings
from affectflow.evaluation.spread import read_spread
from affectflow.evaluation.tables import read_results
from affectflow.figures.published_table import published_html
from affectflow.provenance.atomic import write_text
from affectflow.published.compare import compare, write_published
from affectflow.published.similarity import compare_similarity, read_similarity


def main(arguments: Namespace) -> None:
    levels = pandas.read_csv(
        arguments.levels, dtype={"state": "str"}, keep_default_na=False, na_values=[""]
    )
    rows = compare(
        read_results(arguments.results),
        levels,
        arguments.layout,
        arguments.random,
        read_spread(arguments.spread),
    )
    write_published(arguments.table, rows)
    tables = {path.stem: read_similarity(path) for path in arguments.similarity}
    similarity = compare_similarity(tables, arguments.random_backbones)
    write_text(arguments.page, published_html(rows, arguments.random, similarity, arguments.about))


parser = ArgumentParser(description=__doc__)
parser.add_argument("--results", type=Path, required=True, help="results.csv")
parser.add_argument("--spread", type=Path, required=True, help="spread.csv")
parser.add_argument("--similarity", type=Path, nargs="*", default=[], help="BACKBONE.csv")
parser.add_argument("--levels", type=Path, required=True, help="levels.csv")
parser.add_argument("--layout", required=True, help="dataset.layout; only daisee is compared")
parser.add_argument("--random", type=settings, default=[], help="experiments on random weights")
parser.add_argument("--random-backbones", type=settings, default=[], help="those of random weights")
parser.add_argument("--about", type=settings, default=[], help="what is said of the people")
parser.add_argument("--table", type=Path, required=True, help="published.csv to write")
parser.add_argument("--page", type=Path, required=True, help="published.html to write")
run(parser, main)
