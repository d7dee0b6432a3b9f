"""Draw every experiment's macro-F1, its interval and its floor, state by state."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.evaluation.tables import read_results
from affectflow.figures.overview import draw
from affectflow.figures.style import save


def main(arguments: Namespace) -> None:
    save(draw(read_results(arguments.results), folds=arguments.folds), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--results", type=Path, required=True, help="results.csv")
parser.add_argument("--folds", type=settings, default={}, help="experiment to its folds' number")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
