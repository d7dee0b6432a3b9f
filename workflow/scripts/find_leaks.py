"""Look for subjects and clips that are in two splits: a CSV per backbone, and a page."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.dataset.clips import read_clips
from affectflow.evaluation.leaks import find_leaks
from affectflow.evaluation.tables import write_results
from affectflow.figures.leaks import leaks_html
from affectflow.provenance.atomic import write_text
from affectflow.shards.embeddings import open_joined


def main(arguments: Namespace) -> None:
    with open_joined(arguments.embeddings) as (embedding, mask, clip_id):
        leaks = find_leaks(
            embedding, mask, clip_id, read_clips(arguments.clips, []), folds=arguments.folds
        )
    write_results(arguments.leaks, leaks.rows)
    write_text(arguments.page, leaks_html(leaks, arguments.backbone, arguments.folds))


parser = ArgumentParser(description=__doc__)
parser.add_argument("--embeddings", type=Path, required=True, help="joined embeddings")
parser.add_argument("--clips", type=Path, required=True, help="clips.csv")
parser.add_argument("--backbone", required=True, help="its name")
parser.add_argument("--folds", action="store_true", help="compare any two subjects' clips")
parser.add_argument("--leaks", type=Path, required=True, help="CSV to write")
parser.add_argument("--page", type=Path, required=True, help="HTML page to write")
run(parser, main)
