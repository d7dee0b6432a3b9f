"""Score a sweep's members on the validation split, and choose one of them."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.dataset.clips import read_clips
from affectflow.dataset.tasks import read_tasks
from affectflow.evaluation.choose import choose, validation_results, write_choice
from affectflow.evaluation.report import read_predictions
from affectflow.evaluation.tables import write_results


def main(arguments: Namespace) -> None:
    tasks = read_tasks(arguments.tasks)
    results = validation_results(
        {path.parent.name: read_predictions(path) for path in arguments.predictions},
        read_clips(arguments.clips, tasks),
        tasks,
        arguments.resamples,
        arguments.seed,
    )
    write_results(arguments.results, results)
    write_choice(arguments.choice, choose(results, arguments.runs, arguments.by))


parser = ArgumentParser(description=__doc__)
parser.add_argument(
    "--predictions", type=Path, nargs="+", required=True, help="RUN/predictions.csv"
)
parser.add_argument("--clips", type=Path, required=True, help="clips.csv")
parser.add_argument("--tasks", type=Path, required=True, help="tasks.json")
parser.add_argument("--runs", type=settings, required=True, help="member to its runs")
parser.add_argument("--by", default="macro_f1", help="metric to choose by")
parser.add_argument("--resamples", type=int, default=1000, help="draws behind an interval")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--results", type=Path, required=True, help="validation.csv to write")
parser.add_argument("--choice", type=Path, required=True, help="choice.json to write")
run(parser, main)
