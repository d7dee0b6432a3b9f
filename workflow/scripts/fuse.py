"""Fuse several experiments: the mean of their probabilities."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.dataset.tasks import read_tasks
from affectflow.temporal.decide import RULES
from affectflow.training.fusion import fuse
from affectflow.training.predict import write_predictions


def main(arguments: Namespace) -> None:
    fused = fuse(arguments.predictions, read_tasks(arguments.tasks), arguments.decide)
    write_predictions(fused, arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions.csv")
parser.add_argument("--tasks", type=Path, required=True, help="tasks.json")
parser.add_argument("--decide", choices=RULES, default="mode", help="how a level is taken")
parser.add_argument("--output", type=Path, required=True, help="predictions.csv to write")
run(parser, main)
