"""Write generated expressions in the formats of AffectNet and of Google's FEC, for tests."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.demo.expressions import write_expressions


def main(arguments: Namespace) -> None:
    write_expressions(**vars(arguments))


parser = ArgumentParser(description=__doc__)
parser.add_argument("--root", type=Path, required=True, help="folder to write")
parser.add_argument("--identities", type=int, default=60, help="in AffectNet's training set")
parser.add_argument("--per-identity", type=int, default=8, help="images of each identity")
parser.add_argument("--triplets", type=int, default=1200, help="comparisons to train with")
parser.add_argument("--seed", type=int, default=1, help="same seed, same files")
parser.add_argument("--side", type=int, default=176, help="pixels of an AffectNet image's side")
parser.add_argument("--workers", type=int, help="processes; one per core by default")
if __name__ == "__main__":  # each worker process imports this file again
    run(parser, main)
