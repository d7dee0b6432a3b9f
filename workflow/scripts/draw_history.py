"""Draw an experiment's losses against epochs (the dissertation's Figure 4.6)."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas

from affectflow.commandline import run
from affectflow.figures.history import draw
from affectflow.figures.style import save


def main(arguments: Namespace) -> None:
    best = json.loads(arguments.description.read_text())["trained"]["best_epoch"]
    save(draw(pandas.read_csv(arguments.history), arguments.experiment, best), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--history", type=Path, required=True, help="history.csv")
parser.add_argument("--description", type=Path, required=True, help="model.json")
parser.add_argument("--experiment", required=True, help="its name")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
