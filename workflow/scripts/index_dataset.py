"""Index a data set: its clips, levels, tasks, and the audit of what can't be used."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.dataset.index import build_index, write_index


def main(arguments: Namespace) -> None:
    write_index(build_index(arguments.dataset, arguments.shards), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--dataset", type=settings, required=True, help="`dataset` of the config")
parser.add_argument("--shards", type=int, required=True, help="number of shards")
parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
run(parser, main)
