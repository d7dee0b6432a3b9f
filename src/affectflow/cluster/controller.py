"""The snakemake process that a study's folder belongs to while it runs: who, where, what for."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from affectflow.provenance.atomic import write_text

RECORD = Path(".snakemake/affectflow/run.json")
SUBMITTED = Path(".snakemake/affectflow/submitted")
"""Written by profiles/slurm/bin/sbatch."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that a run set out to do.

    Attributes
    ----------
    rule : str
    wildcards : str
        Their values, joined by ``_``.
    log : str
        Its log file, from the study's folder.
    local : bool
        Whether it runs beside the controller, whatever the executor is.
    """

    rule: str
    wildcards: str
    log: str
    local: bool = False


@dataclass(frozen=True)
class Controller:
    """A run of snakemake over a study.

    Attributes
    ----------
    host : str
    pid : int
    born : float
        When the process began: numbers of processes are used again. On Linux in ticks since the
        host's start, which a clock that is set does not change.
    boot : str
        Which start of the host that was.
    started : float
        When its first job was about to run (seconds, epoch).
    executor : str
        Snakemake's name of it: ``local``, ``slurm``.
    jobs : list of PlannedJob
        All that was left to do then.
    """

    host: str
    pid: int
    born: float
    boot: str
    started: float
    executor: str
    jobs: list[PlannedJob]

    def alive(self) -> bool | None:
        """Return whether that process still runs; None where only another machine can tell."""
        if self.host != socket.gethostname():
            return None
        return self.boot == _boot() and self.born == _born(self.pid)


def record(folder: Path, executor: str, jobs: Iterable[PlannedJob]) -> None:
    """Write down that this process runs the study in `folder` from now on."""
    pid = os.getpid()
    controller = Controller(
        socket.gethostname(), pid, _born(pid), _boot(), time.time(), executor, list(jobs)
    )
    write_text(folder / RECORD, json.dumps(asdict(controller), indent=1))


def latest(folder: Path) -> Controller | None:
    """Return the latest run of the study in `folder`, or None if there was none."""
    path = folder / RECORD
    if not path.is_file():
        return None
    known = json.loads(path.read_text(encoding="utf-8"))
    return Controller(**known | {"jobs": [PlannedJob(**job) for job in known["jobs"]]})


def is_mine(folder: Path) -> bool:
    """Return whether this process is the latest that said it runs the study."""
    last = latest(folder)
    return last is not None and last.pid == os.getpid() and last.alive() is True


def locks_of_latest(folder: Path) -> list[Path]:
    """Return the lock files that the latest run left, and no other's.

    Snakemake locks a folder first and the record follows: a lock that is newer than the record
    is that of a run which is about to begin.
    """
    record = folder / RECORD
    if not record.is_file():
        return []
    written = record.stat().st_mtime_ns
    locks = (folder / ".snakemake" / "locks").glob("*.lock")
    return [lock for lock in locks if lock.stat().st_mtime_ns <= written]


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return ""  # not Linux: a run is then told by its number and birth alone


def _born(pid: int) -> float:
    """Return when a process began; 0.0 if there is no such process."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return 0.0
        stat = Path(f"/proc/{pid}/stat")
        # The name, in parentheses, may hold anything; the 22nd field is the 20th after it.
        return (
            float(stat.read_text().rpartition(")")[2].split()[19])
            if stat.exists()
            else process.create_time()
        )
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return 0.0
