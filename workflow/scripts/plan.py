"""Print what a run would take: jobs, hours, disk and files, and where a quota would break."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from affectflow.commandline import run, settings
from affectflow.config.study import read_study
from affectflow.dataset.index import build_index
from affectflow.errors import UserError
from affectflow.planning.advice import warnings
from affectflow.planning.estimate import make_plan
from affectflow.planning.jobs import Job, Place
from affectflow.planning.text import describe

BLOCK = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", re.MULTILINE)
FIELD = re.compile(r"^    (\w+): (.*)$", re.MULTILINE)
LAST_WORDS = 20


def main(arguments: Namespace) -> None:
    study = read_study(arguments.config, arguments.snakefile.parent)
    index = build_index(study.settings["dataset"], study.settings["shards"])
    jobs = [job for job in jobs_of(dry_run(arguments)) if job.rule != arguments.target]
    folder, place = Path.cwd(), Place(**arguments.place)
    plan = make_plan(jobs, study, index, place, folder)
    quota = study.settings.get("quota") or {}
    disk = shutil.disk_usage(folder)
    # Some network file systems do not tell how large they are.
    advice = warnings(plan, quota, disk.free if disk.total else math.inf)
    print(f"\n{index.told()}\n\n{describe(plan, advice)}\n")


def dry_run(arguments: Namespace) -> str:
    """Return what Snakemake says that it would do.

    A killed run's half-made files are planned to be made again, and nothing but the arguments
    decides: no profile is read.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(arguments.snakefile)]
    command += ["--dry-run", "--nolock", "--rerun-incomplete", "--workflow-profile", "none"]
    command += ["--rerun-triggers", *arguments.rerun_triggers]
    environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
    with TemporaryDirectory() as folder:
        merged = Path(folder) / "config.json"
        merged.write_text(json.dumps(arguments.config), encoding="utf-8")
        done = subprocess.run(
            [*command, "--configfile", str(merged), "--", arguments.target],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-LAST_WORDS:])
        raise UserError(f"snakemake --dry-run failed:\n{last}")
    return done.stdout


def jobs_of(text: str) -> list[Job]:
    """Return the jobs that a dry run names."""
    jobs = []
    for rule, body in BLOCK.findall(text):
        fields = dict(FIELD.findall(body))
        wildcards = (pair.split("=", 1) for pair in listed(fields.get("wildcards", "")))
        outputs, logs = (tuple(listed(fields.get(name, ""))) for name in ("output", "log"))
        jobs.append(Job(rule, dict(wildcards), outputs, logs))
    return jobs


def listed(text: str) -> list[str]:
    """Return the parts of a list as Snakemake prints it."""
    return text.split(", ") if text else []


parser = ArgumentParser(description=__doc__)
parser.add_argument("--snakefile", type=Path, required=True)
parser.add_argument("--target", default="all", help="what the run would be asked for")
parser.add_argument("--config", type=settings, required=True, help="the merged config")
parser.add_argument("--place", type=settings, default={}, help="see affectflow.planning.jobs.Place")
parser.add_argument(
    "--rerun-triggers",
    nargs="+",
    default=["code", "input", "mtime", "params", "software-env"],
    help="what makes Snakemake do a job again",
)
run(parser, main)
