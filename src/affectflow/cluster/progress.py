"""What a job's log says before the job has ended well: since when, and what went wrong."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from affectflow.commandline import ERROR
from affectflow.joblog import JobLog, read_job_log

# As affectflow.commandline begins every line of a log.
CLOCK = re.compile(r"\d\d:\d\d:\d\d(?= )")
TRACEBACK = "Traceback (most recent call last)"
# A job that was stopped with its controller did nothing wrong.
INTERRUPT = "KeyboardInterrupt"
DAY = 24 * 3600


@dataclass(frozen=True)
class Progress:
    """What a log says.

    Attributes
    ----------
    end : JobLog or None
        The figures at its end; None if the job has not ended well.
    error : str
        Why it failed, in a line; empty if it does not say that it did.
    seconds : float
        Time since its first line; since the log was opened, if there is none.
    silent : float
        Seconds since its last line.
    """

    end: JobLog | None
    error: str
    seconds: float
    silent: float


def read_progress(path: Path, since: float, now: float) -> Progress | None:
    """Return what a log says, or None if nothing was written to it after `since`.

    Parameters
    ----------
    path : Path
    since, now : float
        Seconds, epoch.
    """
    try:
        written = path.stat().st_mtime
        if written < since:
            return None
        silent = max(0.0, now - written)
        if end := read_job_log(path):
            return Progress(end, "", end.seconds, silent)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:  # Snakemake may remove it just now
        return None
    first = next((found[0] for line in lines if (found := CLOCK.match(line))), None)
    seconds = silent if first is None else _since_clock(first, now)
    return Progress(None, _error(lines), seconds, silent)


def _since_clock(clock: str, now: float) -> float:
    """Return the seconds since a time of day was last there."""
    today = time.strftime("%Y-%m-%d", time.localtime(now))
    then = time.mktime(time.strptime(f"{today} {clock}", "%Y-%m-%d %H:%M:%S"))
    return (now - then) % DAY


def _error(lines: list[str]) -> str:
    """Return what the lines after the last ordinary one say of a failure."""
    last = next((i for i in reversed(range(len(lines))) if CLOCK.match(lines[i])), -1)
    lines = [line for line in lines[last + 1 :] if line.strip()]
    for line in reversed(lines):
        if line.startswith(ERROR):
            return line.removeprefix(ERROR)
    raised = any(line.startswith(TRACEBACK) for line in lines) and not lines[-1].startswith(" ")
    return lines[-1] if raised and lines[-1] != INTERRUPT else ""
