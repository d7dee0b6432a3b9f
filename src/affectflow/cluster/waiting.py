"""Why SLURM takes no jobs now: from the wrapper of `sbatch` to the controller's log.

Imports nothing heavy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

NOTES = Path(".snakemake/affectflow/waiting")
"""Written by profiles/slurm/bin/sbatch: a line each time."""

EVERY = 5.0
"""Seconds between two looks."""


def pass_on(notes: Path, warn: Callable[[str], object], every: float = EVERY) -> None:
    """Pass on each line that is added to a file from now on, as long as this process lives.

    Snakemake shows what `sbatch` prints when it has ended, and that may be a day later.

    Parameters
    ----------
    notes : Path
        What an earlier run left there is removed.
    warn : callable
        Called with each line, from a thread of its own.
    every : float
        Seconds between two looks.
    """
    notes.unlink(missing_ok=True)

    def follow() -> None:
        done = 0
        while True:
            time.sleep(every)
            try:
                with notes.open("rb") as file:
                    file.seek(done)
                    lines = file.read().rpartition(b"\n")[0]
            except OSError:
                continue  # nothing was noted yet
            if lines:
                done += len(lines) + 1
                for line in lines.decode("utf-8", errors="replace").split("\n"):
                    warn(line)

    Thread(target=follow, daemon=True).start()
