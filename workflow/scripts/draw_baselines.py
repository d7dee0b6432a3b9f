"""Draw published baselines and architectures beside ours (the dissertation's Figure 4.3)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.evaluation.spread import read_spread
from affectflow.evaluation.tables import read_results
from affectflow.figures.baselines import draw
from affectflow.figures.style import save


def main(arguments: Namespace) -> None:
    results, over_runs = read_results(arguments.results), read_spread(arguments.spread)
    save(draw(results, arguments.layout, arguments.random, over_runs), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--results", type=Path, required=True, help="results.csv")
parser.add_argument("--spread", type=Path, required=True, help="spread.csv")
parser.add_argument("--layout", required=True, help="dataset.layout; only daisee is compared")
parser.add_argument("--random", type=settings, default=[], help="experiments on random weights")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
