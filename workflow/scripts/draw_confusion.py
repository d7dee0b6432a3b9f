"""Draw an experiment's confusion matrices on the test split (the dissertation's Figure 4.5)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.evaluation.report import read_metrics
from affectflow.figures.confusion import draw
from affectflow.figures.style import save


def main(arguments: Namespace) -> None:
    save(draw(read_metrics(arguments.metrics), arguments.experiment), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--metrics", type=Path, required=True, help="metrics.json")
parser.add_argument("--experiment", required=True, help="its name")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
