"""Sample the frames of a shard of clips."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.dataset.contents import recorded
from affectflow.dataset.index import build_index
from affectflow.video.extract import extract_shard


def main(arguments: Namespace) -> None:
    index = build_index(arguments.dataset, arguments.shards)
    videos = index.shard_videos(arguments.shard)
    with recorded(videos, index.root, arguments.record):
        extract_shard(
            videos,
            index.root,
            arguments.frames,
            arguments.output,
            arguments.code,
            arguments.threads,
        )


parser = ArgumentParser(description=__doc__)
parser.add_argument("--dataset", type=settings, required=True, help="`dataset` of the config")
parser.add_argument("--shards", type=int, required=True, help="number of shards")
parser.add_argument("--shard", type=int, required=True, help="number of the shard")
parser.add_argument("--frames", type=settings, required=True, help="`frames` of the config")
parser.add_argument(
    "--threads", type=int, default=1, help="one decodes; the others, if any, encode"
)
parser.add_argument("--output", type=Path, required=True, help="shard of frames to write")
parser.add_argument("--code", default="", help="digest of the code, kept in the file")
parser.add_argument("--record", type=Path, help="file to keep what was in the videos")
run(parser, main)
