"""Read FEC and AffectNet, and open every image once: what the teacher can be trained on."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.teacher.index import write_index


def main(arguments: Namespace) -> None:
    write_index(arguments.teacher, arguments.output, arguments.threads)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--teacher", type=settings, required=True, help="fec and affectnet, as config")
parser.add_argument("--threads", type=int, default=4, help="threads that open images")
parser.add_argument("--output", type=Path, required=True, help="folder to write to")
run(parser, main)
