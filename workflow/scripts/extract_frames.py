"""Sample the frames of a shard of clips."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.video.extract import extract_shard


def main(arguments: Namespace) -> None:
    extract_shard(
        arguments.clips,
        Path(arguments.root).expanduser(),
        arguments.shard,
        arguments.frames,
        arguments.output,
    )


parser = ArgumentParser(description=__doc__)
parser.add_argument("--clips", type=Path, required=True, help="clips.csv")
parser.add_argument("--root", required=True, help="folder that its paths start from")
parser.add_argument("--shard", type=int, required=True, help="number of the shard")
parser.add_argument("--frames", type=settings, required=True, help="`frames` of the config")
parser.add_argument("--output", type=Path, required=True, help="shard of frames to write")
run(parser, main)
