"""Draw how alike a clip's frames are to a backbone (the dissertation's Figure 4.2)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.figures.similarity import draw, frame_similarity, summary
from affectflow.figures.style import save
from affectflow.published.similarity import write_similarity
from affectflow.shards.embeddings import frame_counts, open_joined


def main(arguments: Namespace) -> None:
    with open_joined(arguments.embeddings) as (embedding, mask, _):
        similarity = frame_similarity(embedding, mask, counts=frame_counts(embedding))
    write_similarity(arguments.table, summary(similarity))
    save(draw(similarity, arguments.backbone, arguments.compared), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--embeddings", type=Path, required=True, help="joined embeddings")
parser.add_argument("--backbone", required=True, help="its name")
parser.add_argument("--compared", action="store_true", help="with the dissertation's value")
parser.add_argument("--table", type=Path, required=True, help="similarity as numbers, to write")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
