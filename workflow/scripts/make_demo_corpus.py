"""Write the demo corpus: DAiSEE's layout and quirks, made from a public-domain portrait."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.demo import generate


def main(arguments: Namespace) -> None:
    generate(arguments.root, arguments.seed, arguments.workers)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--root", type=Path, required=True, help="folder to write")
parser.add_argument("--seed", type=int, default=1, help="same seed, same corpus")
parser.add_argument("--workers", type=int, help="processes; one per core by default")
if __name__ == "__main__":  # each worker process imports this file again
    run(parser, main)
