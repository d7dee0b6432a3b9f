"""Give a sweep the predictions of its chosen member."""

import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.evaluation.choose import read_choice
from affectflow.provenance.atomic import atomic


def main(arguments: Namespace) -> None:
    chosen = arguments.runs[read_choice(arguments.choice)["chosen"]]
    (source,) = (path for path in arguments.predictions if path.parent.name == chosen)
    with atomic(arguments.output) as temporary:
        shutil.copyfile(source, temporary)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--choice", type=Path, required=True, help="choice.json")
parser.add_argument(
    "--predictions", type=Path, nargs="+", required=True, help="RUN/predictions.csv"
)
parser.add_argument("--runs", type=settings, required=True, help="member to its run")
parser.add_argument("--output", type=Path, required=True, help="predictions.csv to write")
run(parser, main)
