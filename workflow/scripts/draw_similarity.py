"""Draw how alike a clip's frames are to a backbone (the dissertation's Figure 4.2)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run
from affectflow.figures.similarity import draw, frame_similarity
from affectflow.figures.style import save
from affectflow.shards.embeddings import read_joined


def main(arguments: Namespace) -> None:
    embedding, mask, _ = read_joined(arguments.embeddings)
    save(draw(frame_similarity(embedding, mask), arguments.backbone), arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--embeddings", type=Path, required=True, help="joined embeddings")
parser.add_argument("--backbone", required=True, help="its name")
parser.add_argument("--output", type=Path, required=True, help="figure to write")
run(parser, main)
