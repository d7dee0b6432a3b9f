"""What a run is doing: its planned jobs beside SLURM's queue and the jobs' own logs.

Imports nothing heavy.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

from affectflow.cluster import slurm
from affectflow.cluster.controller import RECORD, Controller, PlannedJob
from affectflow.cluster.progress import read_progress
from affectflow.joblog import JobLog
from affectflow.planning.jobs import STAGES
from affectflow.planning.rates import START

DONE, RUNNING, QUEUED, FAILED, LEFT = "done", "running", "queued", "failed", "left"
OTHERS = "the others"
# SLURM's words for a job that does not run yet, or not again yet.
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT")
PATIENCE = 60.0
"""Seconds in which a job's last words come through a network file system."""


@dataclass(frozen=True)
class Seen:
    """A planned job, and what is known of it.

    Attributes
    ----------
    job : PlannedJob
    state : str
        ``done``, ``running``, ``queued``, ``failed``, or ``left``: nothing happened to it yet, or
        it was cut off together with the controller.
    id, elapsed, where : str
        Its number in SLURM; the time it has run; its node, or why it waits.
    end : JobLog or None
        What it said at its end; None unless it is done.
    error : str
        Why it failed, in a line.
    """

    job: PlannedJob
    state: str
    id: str = ""
    elapsed: str = ""
    where: str = ""
    end: JobLog | None = None
    error: str = ""


@dataclass(frozen=True)
class Stage:
    """The jobs of a stage in figures; None where nothing is known yet.

    Attributes
    ----------
    name : str
    planned, done, running, queued, failed, left : int
        Jobs; the first is the sum of the others.
    frames_per_s : float or None
        Median of the jobs done.
    coverage : float or None
        Lowest share of frames with a face.
    peak_mib : int or None
        Highest memory, MiB.
    seconds_left : float or None
        A guess: the median time of the jobs done, for the others, by as many at once as run now.
    """

    name: str
    planned: int
    done: int
    running: int
    queued: int
    failed: int
    left: int
    frames_per_s: float | None = None
    coverage: float | None = None
    peak_mib: int | None = None
    seconds_left: float | None = None


def locked(folder: Path) -> bool:
    """Return whether a snakemake holds the study in `folder`, or died while it did."""
    locks = folder / ".snakemake" / "locks"
    return locks.is_dir() and any(locks.iterdir())


def over(folder: Path, controller: Controller) -> bool:
    """Return whether the run has ended, one way or another, as far as can be told from here."""
    alive = controller.alive()
    return not locked(folder) if alive is None else not alive


def look(
    folder: Path,
    controller: Controller,
    queue: Sequence[slurm.Job] | None,
    now: float | None = None,
) -> list[Seen]:
    """Return what is known of each planned job.

    Parameters
    ----------
    folder : Path
        The study's folder.
    controller : Controller
        Its latest run, as recorded there.
    queue : sequence of slurm.Job or None
        What was in SLURM's queue just before; None where SLURM has no part, or gave no answer.
    now : float, optional
        Seconds, epoch.
    """
    now = time.time() if now is None else now
    # As the file system has it: its clock is the logs' clock.
    since = (folder / RECORD).stat().st_mtime
    ended = over(folder, controller)
    # Of two jobs with one name, that which runs comes last, and counts.
    waiting_first = sorted(queue or [], key=_waits, reverse=True)
    known = {(job.rule, job.wildcards): job for job in waiting_first}
    # A site may keep no comments; then nobody can tell which of the jobs run.
    nameless = any(not job.rule and not _waits(job) for job in queue or [])

    def guessed(job: PlannedJob) -> bool:
        """Whether a job that has begun still runs, where SLURM is not the one to say so."""
        beside = job.local or controller.executor != "slurm"
        return not ended if beside or queue is None else nameless

    def see(job: PlannedJob) -> Seen:
        there = known.get((job.rule, job.wildcards))
        said = read_progress(folder / job.log, since, now)
        if there and _waits(there):
            return Seen(job, QUEUED, there.id, where=there.reason)
        if said and said.end:
            return Seen(job, DONE, end=said.end)
        if there:
            return Seen(job, RUNNING, there.id, there.elapsed, there.reason)
        if not said:
            return Seen(job, LEFT)
        if said.error:
            return Seen(job, FAILED, error=said.error)
        elapsed = str(timedelta(seconds=int(said.seconds)))
        if guessed(job):
            return Seen(job, RUNNING, elapsed=elapsed)
        if ended:
            return Seen(job, LEFT)
        if said.silent <= PATIENCE:
            return Seen(job, RUNNING, elapsed=elapsed, where="leaving SLURM")
        more = f".snakemake/slurm_logs/rule_{job.rule}/{job.wildcards}".rstrip("/")
        return Seen(job, FAILED, error=f"it was killed, or lost with its node; see {more}")

    return [see(job) for job in controller.jobs]


def stages(seen: Iterable[Seen]) -> list[Stage]:
    """Return the jobs by stage, in their order; the rules that are short count as one."""
    by_name: dict[str, list[Seen]] = {name: [] for name in (*STAGES, OTHERS)}
    for one in seen:
        by_name[one.job.rule if one.job.rule in STAGES else OTHERS].append(one)
    return [_stage(name, jobs) for name, jobs in by_name.items() if jobs]


def _waits(job: slurm.Job) -> bool:
    return job.state in WAITING


def _stage(name: str, jobs: list[Seen]) -> Stage:
    count = Counter(job.state for job in jobs)
    ends = [job.end for job in jobs if job.end]
    rates = [end.frames_per_s for end in ends if end.frames_per_s is not None]
    shares = [end.coverage for end in ends if end.coverage is not None]
    seconds_left = None
    if ends and count[RUNNING] and name != OTHERS:
        # Those that run are halfway, one with another.
        waves = (count[LEFT] + count[QUEUED]) / count[RUNNING] + 0.5
        seconds_left = (START + median(end.seconds for end in ends)) * waves
    return Stage(
        name,
        len(jobs),
        done=count[DONE],
        running=count[RUNNING],
        queued=count[QUEUED],
        failed=count[FAILED],
        left=count[LEFT],
        frames_per_s=median(rates) if rates else None,
        coverage=min(shares, default=None),
        peak_mib=max((end.peak_mib for end in ends), default=None),
        seconds_left=seconds_left,
    )
