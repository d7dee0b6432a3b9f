"""Gather the predictions of all folds: every subject as predicted by a run that never saw it."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.training.cross_validate import gather
from affectflow.training.predict import write_predictions


def main(arguments: Namespace) -> None:
    write_predictions(gather(arguments.predictions), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions.csv")
parser.add_argument("--output", type=Path, required=True, help="predictions.csv to write")
run(parser, main)
