"""Train the teacher, here or by SLURM, and lay its files where they are expected."""

import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import run, settings
from affectflow.provenance.atomic import atomic
from affectflow.teacher.job import Request
from affectflow.teacher.launch import Place, launch


def main(arguments: Namespace) -> None:
    request = Request(
        index=arguments.index.absolute(),
        base=arguments.base.absolute() if arguments.base else None,
        settings=arguments.training,
        device=arguments.device,
        workers=max(arguments.place.get("cpus", 4) - 1, 1),
        code=arguments.code,
    )
    launch(request, Place(**arguments.place), arguments.folder.absolute())
    for path in arguments.outputs:
        with atomic(path) as temporary:
            shutil.copyfile(arguments.folder / path.name, temporary)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--index", type=Path, required=True, help="folder of index_teacher")
parser.add_argument("--base", type=Path, help="weights of inception_resnet_v1; random without")
parser.add_argument("--training", type=settings, default={}, help="teacher.training of the config")
parser.add_argument("--place", type=settings, default={}, help="teacher.place of the config")
parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
parser.add_argument("--code", default="", help="digest of the code")
parser.add_argument("--folder", type=Path, required=True, help="for the job: all nodes must see it")
parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="files to write")
run(parser, main)
