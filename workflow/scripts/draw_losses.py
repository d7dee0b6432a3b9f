"""Draw the losses of the three vanilla architectures (the dissertation's Figure 4.6)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas

from affectflow.commandline import run, settings
from affectflow.figures.losses import draw
from affectflow.figures.style import save


def main(arguments: Namespace) -> None:
    histories = {path.parent.name: pandas.read_csv(path) for path in arguments.histories}
    save(draw(histories, arguments.random, arguments.repeated), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--histories", type=Path, nargs="*", default=[], help="EXPERIMENT/history.csv")
parser.add_argument("--random", type=settings, default=[], help="experiments on random weights")
parser.add_argument("--repeated", type=settings, default=[], help="experiments with several seeds")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
