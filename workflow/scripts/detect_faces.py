"""Find, follow and crop one face through each clip of a shard."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import keep_freed_memory, limit_threads, run, settings
from affectflow.dataset.contents import recorded
from affectflow.dataset.index import build_index
from affectflow.devices import choose
from affectflow.faces.detect import detect_in_videos, detect_shard


def main(arguments: Namespace) -> None:
    # Threads feed a GPU, and the number of torch's own decides the last bits of a CPU's sums.
    limit_threads(1)
    keep_freed_memory()
    device = choose(arguments.device)
    how = arguments.faces, device, arguments.output, arguments.code, arguments.threads
    if arguments.frames:
        detect_shard(arguments.frames, *how)
        return
    index = build_index(arguments.dataset, arguments.shards)
    videos = index.shard_videos(arguments.shard)
    with recorded(videos, index.root, arguments.record):
        detect_in_videos(videos, index.root, arguments.sampling, *how)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--frames", type=Path, help="shard of frames to read; without it, the videos:")
parser.add_argument("--dataset", type=settings, help="`dataset` of the config")
parser.add_argument("--shards", type=int, help="number of shards")
parser.add_argument("--shard", type=int, help="number of the shard")
parser.add_argument("--sampling", type=settings, help="`frames` of the config")
parser.add_argument("--record", type=Path, help="file to keep what was in the videos")
parser.add_argument("--faces", type=settings, required=True, help="`faces` of the config")
parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
parser.add_argument("--threads", type=int, default=1, help="CPU threads that feed a GPU")
parser.add_argument("--output", type=Path, required=True, help="shard of faces to write")
parser.add_argument("--code", default="", help="digest of the code, kept in the file")
run(parser, main)
