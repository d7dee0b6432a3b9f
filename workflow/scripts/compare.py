"""Compare every two experiments on the clips that both scored: comparisons.csv, and a page."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas

from affectflow.commandline import run, settings
from affectflow.dataset.clips import read_clips
from affectflow.dataset.tasks import read_tasks
from affectflow.evaluation.paired import COLUMNS, compare
from affectflow.evaluation.report import read_predictions
from affectflow.evaluation.tables import write_results
from affectflow.figures.comparison import comparisons_html
from affectflow.provenance.atomic import write_text


def main(arguments: Namespace) -> None:
    tasks = read_tasks(arguments.tasks)
    predictions = {path.parent.name: read_predictions(path) for path in arguments.predictions}
    parts = [
        compare(
            {name: predictions[name] for name in names},
            read_clips(Path(clips), tasks),
            tasks,
            arguments.resamples,
            arguments.seed,
        )
        for clips, names in arguments.compared.items()
    ]
    parts = [part for part in parts if len(part)]
    comparisons = pandas.concat(parts) if parts else pandas.DataFrame(columns=COLUMNS)
    groups = {title(Path(clips)): names for clips, names in arguments.compared.items()}
    write_results(arguments.comparisons, comparisons)
    page = comparisons_html(comparisons, arguments.random, groups, arguments.about)
    write_text(arguments.page, page)


def title(clips: Path) -> str:
    """Return what the page calls those who are tested by a clip table."""
    return "test split" if clips.name == "clips.csv" else "all subjects, in folds"


parser = ArgumentParser(description=__doc__)
parser.add_argument(
    "--predictions", type=Path, nargs="*", default=[], help="EXPERIMENT/predictions.csv"
)
parser.add_argument(
    "--compared", type=settings, required=True, help="clips.csv to the experiments tested by it"
)
parser.add_argument("--tasks", type=Path, required=True, help="tasks.json")
parser.add_argument("--random", type=settings, default=[], help="experiments on random weights")
parser.add_argument("--about", type=settings, default=[], help="what is said of the people")
parser.add_argument("--resamples", type=int, default=1000, help="draws behind an interval")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--comparisons", type=Path, required=True, help="comparisons.csv to write")
parser.add_argument("--page", type=Path, required=True, help="comparisons.html to write")
run(parser, main)
