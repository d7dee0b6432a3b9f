"""Fetch, read or draw a backbone's weights, and keep them checked as safetensors."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.backbones.weights import prepare
from affectflow.commandline import run, settings


def main(arguments: Namespace) -> None:
    prepare(arguments.backbone, arguments.settings, arguments.seed, arguments.output)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--backbone", required=True, help="name of the backbone")
parser.add_argument("--settings", type=settings, required=True, help="its entry in the config")
parser.add_argument("--seed", type=int, default=1, help="of random weights")
parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
run(parser, main)
