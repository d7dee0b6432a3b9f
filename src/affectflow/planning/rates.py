"""How fast the stages are, in frames per second of one job: what is assumed, and what was measured.

Every stage counts the frames it looks at: sampled frames, frames searched for a face, faces
embedded, and for training, with or without a backbone, the frames of all clips in all epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from affectflow.joblog import JobLog, read_job_log
from affectflow.planning.jobs import EMBED, FACES, FRAMES, STAGES, TRAIN, TUNE

MEASURED = "docs/performance.md"
ASSUMED = "assumed, not measured yet"
START = 10.0
"""Seconds until a job has loaded its libraries and weights: 5 to 10 on a local disk."""

# The lower end of what was seen, so that a plan errs towards too long.
DEFAULTS = {
    (FRAMES, "cpu"): (100.0, MEASURED),
    (FACES, "cpu"): (60.0, MEASURED),
    (EMBED, "cpu"): (23.0, MEASURED),
    (TRAIN, "cpu"): (2000.0, ASSUMED),
    (TUNE, "cpu"): (7.0, MEASURED),
    (FACES, "cuda"): (150.0, ASSUMED),
    (EMBED, "cuda"): (1000.0, ASSUMED),
    (TRAIN, "cuda"): (100_000.0, ASSUMED),
    (TUNE, "cuda"): (300.0, ASSUMED),
}
MIN_SIZE = 60
"""The `faces.min_size` that the rates of detection hold for; looking for smaller faces is slower in
proportion (docs/performance.md)."""
ENOUGH = 10.0
"""Seconds of work below which a log says more about warming up than about a rate."""


@dataclass(frozen=True)
class Rate:
    """Frames per second of one job, and where the number comes from."""

    per_second: float
    source: str


def expected_device(setting: str, cluster: bool, logs: Iterable[JobLog] = ()) -> str:
    """Return the device that the jobs of a run will find: ``cpu``, ``cuda`` or ``mps``.

    ``auto`` means a GPU on a cluster; on this machine it is whatever earlier jobs found, or a CPU.
    """
    if setting != "auto":
        return setting
    return "cuda" if cluster or any(log.device == "cuda" for log in logs) else "cpu"


def default_rate(rule: str, device: str, min_size: int = MIN_SIZE) -> Rate:
    """Return the rate to expect of a stage where nothing was measured in this study.

    Nothing is known of ``mps``: it has a CPU's rates.
    """
    rate, source = DEFAULTS[rule, "cpu"]
    if device != "cpu":
        rate, source = DEFAULTS.get((rule, device), (rate, f"a CPU's: {source}"))
    if rule == FACES:
        rate *= min(1.0, min_size / MIN_SIZE)
    return Rate(rate, source)


def measured_rate(logs: Iterable[JobLog], device: str) -> Rate | None:
    """Return the mean rate of finished jobs on a device, or None if they worked too shortly."""
    frames, seconds = 0, 0.0
    for log in logs:
        if log.device == device and log.frames and log.frames_per_s:
            frames += log.frames
            seconds += log.frames / log.frames_per_s
    return Rate(frames / seconds, "measured in this study") if seconds >= ENOUGH else None


def read_logs(folder: Path, rule: str) -> dict[str, JobLog]:
    """Return the logs of a stage's finished jobs by name, such as ``resnet18/shard-000``."""
    top = folder / "logs" / rule
    found = {str(path.relative_to(top).with_suffix("")): path for path in top.rglob("*.log")}
    logs = {name: read_job_log(path) for name, path in sorted(found.items())}
    return {name: log for name, log in logs.items() if log}


class Rates:
    """The rates of a run: the config's, else measured ones, else the defaults.

    Parameters
    ----------
    given : mapping
        `rates` of the config: rule to frames per second, or None.
    logs : mapping
        Rule to the logs of its finished jobs, by name (`read_logs`).
    device : str
    min_size : int
        `faces.min_size` of the config, pixels.
    """

    def __init__(
        self,
        given: Mapping[str, float | None],
        logs: Mapping[str, Mapping[str, JobLog]],
        device: str,
        min_size: int = MIN_SIZE,
    ) -> None:
        self.given, self.logs, self.device, self.min_size = given, logs, device, min_size
        self.used: dict[str, tuple[str, Rate]] = {}

    def where(self, rule: str) -> str:
        """Return the device of a stage's jobs."""
        return self.device if rule in STAGES and rule != FRAMES else "cpu"

    def of(self, rule: str, backbone: str = "") -> Rate:
        """Return a stage's rate, and remember that the plan rests on it."""
        device = self.where(rule)
        logs = (
            log
            for name, log in self.logs.get(rule, {}).items()
            if name.startswith(f"{backbone}/" if backbone else "")
        )
        given = self.given.get(rule)
        rate = (
            Rate(given, f"rates.{rule} in the config")
            if given
            else measured_rate(logs, device) or default_rate(rule, device, self.min_size)
        )
        self.used[f"{rule} {backbone}".strip()] = device, rate
        return rate
