"""A study of a small corpus, run as a user runs it: the snakemake command in a fresh process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "config", "src", "envs", "profiles")
SMALL = {
    "frames": {"per_clip": 4},
    "shards": 3,
    "evaluation": {"resamples": 50},
    "experiments": {
        "lstm": {"backbone": "resnet18", "epochs": 3, "lstm_units": [8, 8], "fc_units": [8, 8]},
        "other": {"backbone": "resnet18", "epochs": 2, "lstm_units": [8, 8], "fc_units": [8, 8]},
    },
}


@dataclass(frozen=True)
class Run:
    """What a call of snakemake said."""

    code: int
    out: str

    @property
    def jobs(self) -> set[tuple[str, str]]:
        """Rule and wildcards of the jobs that were planned or run."""
        blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", self.out, re.MULTILINE)
        wildcards = (re.search(r"^    wildcards: (.*)$", body, re.MULTILINE) for _, body in blocks)
        return {
            (rule, found.group(1) if found else "")
            for (rule, _), found in zip(blocks, wildcards, strict=True)
        }

    @property
    def rules(self) -> set[str]:
        """The rules of the jobs."""
        return {rule for rule, _ in self.jobs}


@dataclass(frozen=True)
class Study:
    """A checkout, a folder to work in, and a config."""

    checkout: Path
    folder: Path
    config: dict[str, Any]

    def command(self, *arguments: str) -> list[str]:
        """The command line of snakemake for this study."""
        file = self.folder / "study.yaml"
        file.write_text(yaml.safe_dump(self.config))
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(self.checkout / "Snakefile"),
        ]
        command += ["--directory", str(self.folder), "--configfile", str(file)]
        return [*command, "--cores", "2", *arguments]

    def run(self, *arguments: str) -> Run:
        """Run snakemake to its end."""
        return finish(self.command(*arguments))

    def plan(self, *options: str) -> Run:
        """Dry-run."""
        planned = self.run("--dry-run", *options)
        assert planned.code == 0, planned.out
        return planned

    def edit(self, file: str, old: str, new: str) -> None:
        """Edit a source file of the checkout."""
        path = self.checkout / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def copy(self, to: Path) -> Study:
        """Copy checkout and working folder; file times are kept in the folder alone."""
        shutil.copytree(self.folder, to / "folder", symlinks=True)
        checkout = copy_checkout(to / "checkout", self.checkout)
        return Study(checkout, to / "folder", self.config)

    def anew(self, folder: Path) -> Study:
        """The same study from its beginning: nothing but its corpus."""
        shutil.copytree(self.folder / "corpus", folder / "corpus")
        return replace(self, folder=folder)

    def with_config(self, **changes: Any) -> Study:
        """The same study with other settings."""
        return replace(self, config={**self.config, **changes})

    def predictions(self, experiment: str = "lstm") -> bytes:
        """The bytes of an experiment's predictions."""
        path = self.folder / "results" / "experiments" / experiment / "predictions.csv"
        return path.read_bytes()


def finish(command: list[str]) -> Run:
    """Run a command to its end."""
    done = subprocess.run(
        command,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        check=False,
    )
    return Run(done.returncode, done.stdout)


def environment() -> dict[str, str]:
    """The tests' own environment, without profiles of whoever runs them."""
    return {k: v for k, v in os.environ.items() if k not in ("SNAKEMAKE_PROFILE", "PYTHONPATH")}


def copy_checkout(to: Path, checkout: Path = CHECKOUT) -> Path:
    """Copy what the workflow consists of, as a fresh clone has it: with new file times."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in PARTS:
        source = checkout / part
        if source.is_dir():
            shutil.copytree(source, to / part, ignore=ignore, copy_function=shutil.copy)
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to / part)
    return to
