"""A study on the cluster, run as a user runs it, and what can be done to it meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from study import SMALL, Run, Study, environment

from slurm import Cluster

PATIENCE = 300
CONFIG = {
    **SMALL,
    "dataset": {"root": "corpus"},
    "shards": 2,
    "experiments": {"lstm": SMALL["experiments"]["lstm"]},
}
SITE = {
    "<account>": "default",
    "<CPU partition>": "cpu",
    "<GPU partition>": "gpu",
    # A laboratory's jobs take seconds: look at them more often than at a real cluster's.
    "status-checks: 20": "status-checks: 2",
    "checks-per-second: 0.1": "checks-per-second: 1",
}


def fill_profile(checkout: Path) -> None:
    """Fill in what a student fills in."""
    (checkout / "slurm").symlink_to("profiles/slurm")
    profile = checkout / "profiles" / "slurm" / "config.yaml"
    text = profile.read_text()
    for placeholder, value in SITE.items():
        assert placeholder in text, f"the profile has no {placeholder}"
        text = text.replace(placeholder, value)
    profile.write_text(text)


@dataclass(frozen=True)
class Lab(Study):
    """A study whose jobs go to a cluster."""

    cluster: Cluster

    def command(self, *arguments: str) -> list[str]:
        """`snakemake --profile slurm`, and the study."""
        super().command()
        snakemake = Path(sys.executable).with_name("snakemake")
        command = [str(snakemake), "--profile", "slurm", *arguments]
        study = ["--configfile", str(self.folder / "study.yaml")]
        return [*command, "--directory", str(self.folder), *study]

    @property
    def environment(self) -> dict[str, str]:
        """What a controller is started with."""
        return environment() | self.cluster.environment

    def start(self, *arguments: str) -> Controller:
        """Start a controller."""
        log = self.folder / "controller.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self.command(*arguments),
                cwd=self.checkout,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        return Controller(self, process, log)

    def run(self, *arguments: str) -> Run:
        """Run a controller to its end."""
        return self.start(*arguments).finish()

    def without(self, to: Path, *paths: str) -> Lab:
        """A copy of this study in which some results are not made yet."""
        folder = to / "folder"
        shutil.copytree(self.folder, folder, symlinks=True)
        for path in paths:
            found = list(folder.glob(f"results/{path}"))
            assert found, f"nothing to remove: {path}"
            for one in found:
                shutil.rmtree(one) if one.is_dir() else one.unlink()
        return Lab(self.checkout, folder, self.config, self.cluster)

    def scripts(self, rule: str = "") -> list[psutil.Process]:
        """The processes that run a rule's script for this study, wherever they run."""
        found = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
                mine = process.cwd() == str(self.folder)
            except psutil.Error:
                continue
            script = f"/workflow/scripts/{rule}" if rule else "/workflow/scripts/"
            if mine and len(words) > 1 and script in words[1]:
                found.append(process)
        return found

    def processes(self, job: str) -> list[psutil.Process]:
        """All processes of a SLURM job, SLURM's own around it included."""
        found = []
        for process in psutil.process_iter():
            try:
                own = process.environ().get("SLURM_JOB_ID") == job
                steps = " ".join(process.cmdline()).startswith(f"slurmstepd: [{job}.")
            except psutil.Error:
                continue
            if own or steps:
                found.append(process)
        return found

    @contextmanager
    def held(self) -> Iterator[set[str]]:
        """Stop this study's jobs where they are, however slow this machine is; their ids."""
        stopped: dict[str, list[psutil.Process]] = {}
        end = time.monotonic() + PATIENCE
        try:
            while not stopped or self.queue().keys() != {
                job for job, own in stopped.items() if own
            }:
                assert time.monotonic() < end, f"jobs come and go: {self.queue()}"
                for job in self.queue(state="RUNNING"):
                    # Without slurmstepd SLURM would take the node for dead.
                    stopped[job] = [p for p in self.processes(job) if p.name() != "slurmstepd"]
                    for process in stopped[job]:
                        with suppress(psutil.NoSuchProcess):
                            process.suspend()
            yield set(stopped)
        finally:
            for own in stopped.values():
                for process in own:
                    with suppress(psutil.NoSuchProcess):
                        process.resume()

    def queue(self, rule: str = "", state: str = "") -> dict[str, str]:
        """Job id -> node, of this study's jobs in the queue."""
        lines = self.cluster.run("squeue", "--noheader", "--format=%i|%T|%N|%k|%Z").splitlines()
        rows = [line.split("|") for line in lines if line.count("|") == 4]
        return {
            job: node
            for job, now, node, comment, folder in rows
            if folder == str(self.folder) and f"rule_{rule}" in comment and state in now
        }

    def log(self, name: str) -> str:
        """The text of a job's log."""
        return (self.folder / "logs" / f"{name}.log").read_text()


@dataclass(frozen=True)
class Controller:
    """A running `snakemake --profile slurm`."""

    lab: Lab
    process: subprocess.Popen[bytes]
    log: Path

    def until(self, happens: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until something is true, and return it."""
        end = time.monotonic() + seconds
        while not (found := happens()):
            assert self.process.poll() is None, f"ended before:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"did not happen:\n{self.log.read_text()}"
            time.sleep(0.05)
        return found

    def running(self, rule: str) -> tuple[str, str]:
        """Wait for a rule's script to run; its SLURM job, and the node."""
        self.script(rule)
        return next(iter(self.lab.queue(rule, "RUNNING").items()))

    def script(self, rule: str) -> psutil.Process:
        """Wait for a rule's script to run on a node."""
        return self.until(lambda: self.lab.scripts(rule))[0]

    def finish(self) -> Run:
        """Wait for its end."""
        code = self.process.wait(timeout=1800)
        return Run(code, self.log.read_text())
