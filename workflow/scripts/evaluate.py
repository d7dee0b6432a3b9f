"""Score an experiment's predictions: every metric with its floors and its 95% interval."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.dataset.clips import read_clips
from affectflow.dataset.tasks import read_tasks
from affectflow.evaluation.report import evaluate, read_predictions, write_metrics


def main(arguments: Namespace) -> None:
    tasks = read_tasks(arguments.tasks)
    metrics = evaluate(
        read_predictions(arguments.predictions),
        read_clips(arguments.clips, tasks),
        tasks,
        arguments.resamples,
        arguments.seed,
    )
    write_metrics(arguments.output, metrics)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--predictions", type=Path, required=True, help="predictions.csv")
parser.add_argument("--clips", type=Path, required=True, help="clips.csv")
parser.add_argument("--tasks", type=Path, required=True, help="tasks.json")
parser.add_argument("--resamples", type=int, default=1000, help="draws behind an interval")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--output", type=Path, required=True, help="metrics.json to write")
run(parser, main)
