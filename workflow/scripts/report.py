"""Make Snakemake's own HTML report of a finished study, and keep the config it was made with."""

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import yaml

from affectflow.commandline import run, settings
from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic, write_text


def main(arguments: Namespace) -> None:
    write_text(arguments.merged, yaml.safe_dump(arguments.config, sort_keys=False))
    with atomic(arguments.output) as temporary:
        # Snakemake tells the kind of report by the name's ending.
        page = temporary.with_suffix(".html")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(arguments.snakefile)]
        command += ["--configfile", str(arguments.merged), "--workflow-profile", "none", "--nolock"]
        command += ["--report", str(page), "--", arguments.target]
        environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
        if subprocess.run(command, env=environment, check=False).returncode:
            raise UserError(
                f"{arguments.output}: Snakemake could not make the report",
                f"Its words stand above. By hand: snakemake --report {arguments.output} "
                f"{arguments.target}",
            )
        page.replace(temporary)


parser = ArgumentParser(description=__doc__)
parser.add_argument("--snakefile", type=Path, required=True)
parser.add_argument("--target", required=True, help="rule whose inputs the report shows")
parser.add_argument("--config", type=settings, required=True, help="the merged config")
parser.add_argument("--merged", type=Path, required=True, help="file to keep the config in")
parser.add_argument("--output", type=Path, required=True, help="report.html to write")
run(parser, main)
