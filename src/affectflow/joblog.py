"""The figures that a job's log ends with, written and read in one place. Imports nothing heavy."""

from __future__ import annotations

import re
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

TAIL = 8192
FRAMES = re.compile(
    r"(\d+) frames on (\S+), ([\d.]+) frames/s"
    r"(?:, (\d+) with a face, coverage ([\d.]+))?(?:, busy ([\d.]+))?$"
)
DONE = re.compile(r"done in ([\d.]+) s, peak memory (\d+) MiB(?:, of the GPU (\d+) MiB)?$")


@dataclass(frozen=True)
class JobLog:
    """What a finished job said of itself.

    Attributes
    ----------
    seconds : float
        From the first line of the script to its last; loading libraries is not in it.
    peak_mib : int
        Largest resident memory, MiB.
    gpu_mib : int or None
        Largest memory that torch held on the GPU, MiB; None without one.
    frames : int or None
        Frames worked on; None for a stage that looks at no frames.
    frames_per_s : float or None
    device : str or None
        As torch names it: ``cpu``, ``cuda``.
    coverage : float or None
        Share of the frames in which a face was found; None where none was looked for.
    busy : float or None
        Share of the time in which the device had work; None where it is not told.
    """

    seconds: float
    peak_mib: int
    gpu_mib: int | None = None
    frames: int | None = None
    frames_per_s: float | None = None
    device: str | None = None
    coverage: float | None = None
    busy: float | None = None


def frames_line(
    frames: int,
    seconds: float,
    device: str,
    with_face: int | None = None,
    busy: float | None = None,
) -> str:
    """Return the line that a stage which works on frames logs when it has seen them all.

    `busy` is the seconds in which the device had work.
    """
    line = f"{frames} frames on {device}, {frames / max(seconds, 1e-9):.1f} frames/s"
    if with_face is not None:
        line += f", {with_face} with a face, coverage {with_face / max(frames, 1):.3f}"
    if busy is not None:
        line += f", busy {busy / max(seconds, 1e-9):.2f}"
    return line


def peak_mib() -> float:
    """Return the largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB


def done_line(seconds: float, peak_mib: float, gpu_mib: float | None = None) -> str:
    """Return the last line of a job that ended well."""
    line = f"done in {seconds:.1f} s, peak memory {peak_mib:.0f} MiB"
    return line if gpu_mib is None else f"{line}, of the GPU {gpu_mib:.0f} MiB"


def read_job_log(path: Path) -> JobLog | None:
    """Return what a job's log ends with, or None if the job has not ended well (yet)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    done = next((found for line in reversed(lines) if (found := DONE.search(line))), None)
    if done is None:
        return None
    frames = next((found for line in reversed(lines) if (found := FRAMES.search(line))), None)
    return JobLog(
        seconds=float(done[1]),
        peak_mib=int(done[2]),
        gpu_mib=int(done[3]) if done[3] else None,
        frames=int(frames[1]) if frames else None,
        device=frames[2] if frames else None,
        frames_per_s=float(frames[3]) if frames else None,
        coverage=float(frames[5]) if frames and frames[5] else None,
        busy=float(frames[6]) if frames and frames[6] else None,
    )
