"""Join the shards of a backbone's embeddings into one virtual data set."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.shards.embeddings import join


def main(arguments: Namespace) -> None:
    join(arguments.shards, arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--shards", type=Path, nargs="+", required=True, help="shards, in order")
parser.add_argument("--output", type=Path, required=True, help="HDF5 file to write")
run(parser, main)
