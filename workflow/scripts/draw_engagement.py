"""Draw eight experiments' engagement confusion matrices (the dissertation's Figure 4.5)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.evaluation.report import read_metrics
from affectflow.figures.engagement import draw
from affectflow.figures.style import save


def main(arguments: Namespace) -> None:
    metrics = {path.parent.name: read_metrics(path) for path in arguments.metrics}
    figure = draw(metrics, random_weights=arguments.random, repeated=arguments.repeated)
    save(figure, arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--metrics", type=Path, nargs="*", default=[], help="EXPERIMENT/metrics.json")
parser.add_argument("--random", type=settings, default=[], help="experiments on random weights")
parser.add_argument("--repeated", type=settings, default=[], help="experiments with several seeds")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
