"""What a plan is made from: the jobs left to do, and where they will run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FRAMES = "extract_frames"
FACES = "detect_faces"
EMBED = "embed"
TRAIN = "train"
TRAIN_POOLED = "train_pooled"
TUNE = "fine_tune"
BY_EPOCHS = (TRAIN, TUNE)
"""The rules that train an experiment epoch by epoch."""
STAGES = (FRAMES, FACES, EMBED, *BY_EPOCHS)
"""The rules whose time is estimated; the others are short."""


@dataclass(frozen=True)
class Job:
    """A job that is left to do.

    Attributes
    ----------
    rule : str
    wildcards : mapping
        ``shard``, ``backbone`` or ``experiment`` to value.
    outputs, logs : tuple of str
        Paths from the study's folder.
    """

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()

    @property
    def temporary(self) -> bool:
        """Whether its output is removed within the run: frames are."""
        return self.rule == FRAMES


@dataclass(frozen=True)
class Place:
    """Where the run's jobs go.

    Attributes
    ----------
    cluster : bool
        Whether jobs are sent to a cluster.
    frames_on_disk : int or None
        Shards of frames that may lie on disk at once; None for no limit.
    limited_by : str
        What sets that limit, for the reader.
    runtimes : mapping
        Rule to the minutes that a job's first attempt asks for.
    """

    cluster: bool = False
    frames_on_disk: int | None = None
    limited_by: str = ""
    runtimes: Mapping[str, int] = field(default_factory=dict)


def shards_left(jobs: Iterable[Job], rule: str) -> set[int]:
    """Return the shards that a rule still has to work on."""
    return {int(job.wildcards["shard"]) for job in jobs if job.rule == rule}
