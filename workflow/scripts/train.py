"""Train a sequence model on embeddings, and predict every clip with its best epoch."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.training.job import add_arguments, read_job
from affectflow.training.run import train


def main(arguments: Namespace) -> None:
    train(arguments.embeddings, read_job(arguments))


parser = ArgumentParser(description=__doc__)
parser.add_argument("--embeddings", type=Path, required=True, help="joined embeddings to read")
add_arguments(parser)
run(parser, main)
