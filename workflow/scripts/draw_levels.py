"""Draw how often each level of each state occurs (the dissertation's Figure 4.1)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas

from affectflow.commandline import run
from affectflow.dataset.tasks import read_tasks
from affectflow.figures.levels import draw
from affectflow.figures.style import save


def main(arguments: Namespace) -> None:
    levels = pandas.read_csv(
        arguments.levels, dtype={"state": "str"}, keep_default_na=False, na_values=[""]
    )
    save(draw(levels, read_tasks(arguments.tasks)), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--levels", type=Path, required=True, help="levels.csv")
parser.add_argument("--tasks", type=Path, required=True, help="tasks.json")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
