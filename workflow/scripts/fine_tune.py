"""Train a backbone with its head on face crops, and predict every clip with the best epoch."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import limit_threads, run
from affectflow.training.fine_tune import fine_tune
from affectflow.training.job import add_arguments, read_job


def main(arguments: Namespace) -> None:
    limit_threads(arguments.threads)
    fine_tune(arguments.faces, arguments.backbone, arguments.weights, read_job(arguments))


parser = ArgumentParser(description=__doc__)
parser.add_argument("--faces", type=Path, nargs="+", required=True, help="all shards of faces")
parser.add_argument("--backbone", required=True, help="its name")
parser.add_argument("--weights", type=Path, required=True, help="what the backbone starts from")
add_arguments(parser)
run(parser, main)
