"""What a run is doing, in words and figures, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from affectflow.cluster import slurm
from affectflow.cluster.controller import Controller
from affectflow.cluster.watch import (
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    Seen,
    Stage,
    locked,
    look,
    over,
    stages,
)
from affectflow.planning.jobs import STAGES
from affectflow.planning.text import duration

WIDTH = 79
"""Columns: a line of 80 makes some terminals begin another."""
JOBS = 15
ERRORS = 5
COUNTS = ("planned", "done", "running", "queued", "failed", "left")
LAYOUT = "{:14}{:>5}{:>5}{:>5}{:>7}{:>7}{:>6} {:>8}{:>6}{:>7}{:>8}"
HEADER = ("", "jobs", "done", "runs", *COUNTS[3:], "frames/s", "faces", "MiB", "to go")


def describe(
    folder: Path,
    controller: Controller,
    queue: Sequence[slurm.Job] | None,
    doubt: str = "",
    now: float | None = None,
) -> str:
    """Return a run's state, its stages, the jobs that run or wait, and those that failed.

    Parameters
    ----------
    folder : Path
        The study's folder.
    controller : Controller
        Its latest run.
    queue : sequence of slurm.Job or None
        What was in SLURM's queue just before; None where SLURM has no part, or gave no answer.
    doubt : str
        Why it gave none.
    now : float, optional
        Seconds, epoch.
    """
    seen = sorted(look(folder, controller, queue, now), key=_place)
    parts = [
        _wrap(f"{folder}: {_state(folder, controller, seen, len(queue or []))}"),
        _table(stages(seen)),
        _at_work([one for state in (RUNNING, QUEUED) for one in seen if one.state == state]),
        _doubts(queue or [], doubt if any(one.state != DONE for one in seen) else ""),
        _failures([one for one in seen if one.state == FAILED]),
    ]
    return "\n\n".join(part for part in parts if part)


def _place(one: Seen) -> tuple[int, str, str]:
    rule = one.job.rule
    return (STAGES.index(rule) if rule in STAGES else len(STAGES), rule, one.job.wildcards)


def _state(folder: Path, controller: Controller, seen: list[Seen], in_queue: int) -> str:
    """Return what became of the controller, and what to do if it is no more."""
    began = time.strftime("%a %d %b %H:%M", time.localtime(controller.started))
    place = f"on {controller.host} since {began}, pid {controller.pid}"
    open_ = sum(one.state != DONE for one in seen)
    if not over(folder, controller):
        doubt = f", if that is still there (ssh {controller.host} ps -p {controller.pid})"
        return f"running {place}{'' if controller.alive() else doubt}"
    if not open_ and not locked(folder):
        return f"finished: all {len(seen)} jobs of the run that began {began} are done."
    failed = sum(one.state == FAILED for one in seen)
    if locked(folder):
        what = f"died (ran {place}), {open_} of {len(seen)} jobs not done."
    elif failed:
        what = f"ended, {open_} of {len(seen)} jobs not done. Mend what failed, see below."
    else:
        what = f"stopped, {open_} of {len(seen)} jobs not done."
    if in_queue:
        what += f" Of its jobs {in_queue} are still in SLURM's queue: wait for that, or scancel."
    return f"{what} To go on, give the same command again; what is done is kept."


def _table(rows: list[Stage]) -> str:
    sums = [sum(getattr(row, name) for row in rows) for name in COUNTS]
    return "\n".join(
        LAYOUT.format(*cells).rstrip()
        for cells in (HEADER, *map(_cells, rows), ("all", *sums, "", "", "", ""))
    )


def _cells(row: Stage) -> tuple[str, ...]:
    return (
        row.name,
        *(str(getattr(row, name)) for name in COUNTS),
        _or_dash(row.frames_per_s, "{:.1f}".format),
        _or_dash(row.coverage, "{:.0%}".format),
        _or_dash(row.peak_mib, str),
        _or_dash(row.seconds_left, duration),
    )


def _or_dash(value: float | None, write: Callable[[float], str]) -> str:
    return "-" if value is None else write(value)


def _at_work(jobs: list[Seen]) -> str:
    """Return a line for each job: number, rule, wildcards, time, and where, or why it waits."""
    rows = [(one.id, one.job.rule, one.job.wildcards, one.elapsed, one.where) for one in jobs]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:4]]
    lines = []
    for number, rule, wildcards, elapsed, where in rows[:JOBS]:
        cells = (f"{number:>{widths[0]}}", f"{rule:{widths[1]}}", f"{wildcards:{widths[2]}}")
        lines.append("  ".join((*cells, f"{elapsed:>{widths[3]}}", where)))
    return "\n".join(map(_cut, [*lines, *_more(rows, JOBS)]))


def _doubts(queue: Sequence[slurm.Job], doubt: str) -> str:
    if nameless := sum(not job.rule for job in queue):
        doubt = (
            f"{nameless} jobs in the queue can't be told apart: experiments share them, or this "
            "SLURM\nkeeps no comments."
        )
    return f"{doubt}\nWhat runs is guessed from the logs; what waits counts as left." * bool(doubt)


def _failures(jobs: list[Seen]) -> str:
    lines = []
    for one in jobs[:ERRORS]:
        lines.append(f"failed: {one.job.rule} {one.job.wildcards}".rstrip())
        lines += [f"  {line}" for line in (*_wrap(one.error, 2, lines=3).splitlines(), one.job.log)]
    return "\n".join(map(_cut, [*lines, *_more(jobs, ERRORS)]))


def _more(items: Sequence[object], most: int) -> list[str]:
    return [f"... and {len(items) - most} more"] if len(items) > most else []


def _cut(line: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in line).rstrip()
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _wrap(text: str, indent: int = 0, lines: int | None = None) -> str:
    return textwrap.fill(
        text,
        WIDTH - indent,
        max_lines=lines,
        placeholder="...",
        break_long_words=False,
        break_on_hyphens=False,
    )
