"""Deal the subjects to folds, and write the clip table with one fold's splits."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.dataset.clips import read_clips
from affectflow.dataset.folds import deal, of_fold, write_clips
from affectflow.dataset.tasks import read_tasks


def main(arguments: Namespace) -> None:
    tasks = read_tasks(arguments.tasks)
    clips = read_clips(arguments.clips, tasks)
    dealt = deal(clips, tasks, arguments.folds, arguments.seed)
    fold = None if arguments.fold == "all" else int(arguments.fold)
    write_clips(of_fold(clips, dealt, fold, arguments.folds), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--clips", type=Path, required=True, help="clips.csv")
parser.add_argument("--tasks", type=Path, required=True, help="tasks.json")
parser.add_argument("--folds", type=int, required=True, help="how many")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument(
    "--fold", default="all", help="the fold that is tested, from 1; all: every clip is a test clip"
)
parser.add_argument("--output", type=Path, required=True, help="clips.csv to write")
run(parser, main)
