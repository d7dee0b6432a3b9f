"""Embed the face crops of one or several shards with one backbone."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import open_embedder
from affectflow.commandline import keep_freed_memory, limit_threads, run
from affectflow.devices import choose


def main(arguments: Namespace) -> None:
    # Threads feed a GPU, and the number of torch's own decides the last bits of a CPU's sums.
    limit_threads(1)
    keep_freed_memory()
    device = choose(arguments.device)
    embedder = open_embedder(
        arguments.backbone, arguments.weights, device, arguments.precision, arguments.threads
    )
    embed_shards(arguments.faces, embedder, arguments.output, arguments.code)


parser = ArgumentParser(description=__doc__)
parser.add_argument(
    "--faces", type=Path, nargs="+", required=True, help="shards of faces, in order"
)
parser.add_argument("--backbone", required=True, help="name of the backbone")
parser.add_argument("--weights", type=Path, required=True, help="what weights.py wrote")
parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
parser.add_argument("--precision", default="auto", help="auto, fp32, fp16, bf16 or int8")
parser.add_argument("--threads", type=int, default=1, help="CPU threads that feed a GPU")
parser.add_argument("--output", type=Path, required=True, help="shard of embeddings to write")
parser.add_argument("--code", default="", help="digest of the code, kept in the file")
run(parser, main)
