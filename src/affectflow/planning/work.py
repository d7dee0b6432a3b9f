"""How much there is to look at: clips, frames and faces of each shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from affectflow.dataset.index import Clip
from affectflow.joblog import JobLog
from affectflow.planning.sizes import BYTES_PER_SECOND


@dataclass(frozen=True)
class ShardWork:
    """What one shard holds.

    Attributes
    ----------
    clips : int
        Clips with a video.
    frames : float
        Sampled frames.
    faces : float
        Frames with a face; all of them, where it is not known.
    """

    clips: int
    frames: float
    faces: float

    def __add__(self, other: ShardWork) -> ShardWork:
        return ShardWork(
            self.clips + other.clips, self.frames + other.frames, self.faces + other.faces
        )


@dataclass(frozen=True)
class Work:
    """The shards of a study, and how its frames were counted."""

    shards: list[ShardWork]
    basis: str

    @property
    def clips(self) -> int:
        """Clips with a video."""
        return sum(shard.clips for shard in self.shards)

    @property
    def frames(self) -> float:
        """Sampled frames of the study."""
        return sum(shard.frames for shard in self.shards)


def count_work(
    clips: Iterable[Clip],
    shards: int,
    frames: Mapping[str, Any],
    done: Mapping[int, JobLog],
) -> Work:
    """Estimate what each shard holds. Opens no video.

    Parameters
    ----------
    clips : iterable of Clip
        From the index.
    shards : int
    frames : mapping
        `frames` of the config. With ``per_clip`` every clip is taken to be long enough; with
        ``fps`` the length of clips is guessed from their files' sizes.
    done : mapping
        Shard to the log of its face detection, where that is up to date: it knows the truth.
    """
    count, size = [0] * shards, [0] * shards
    for clip in clips:
        if clip.path:
            count[clip.shard] += 1
            size[clip.shard] += clip.bytes
    if frames.get("per_clip"):
        guess = [float(n * frames["per_clip"]) for n in count]
        basis = f"{frames['per_clip']} frames per clip"
    else:
        per_byte, basis = _frames_per_byte(size, frames["fps"], done)
        guess = [n * per_byte for n in size]
    return Work([_shard(count[i], guess[i], done.get(i)) for i in range(shards)], basis)


def _frames_per_byte(size: list[int], fps: float, done: Mapping[int, JobLog]) -> tuple[float, str]:
    seen = sum(log.frames or 0 for log in done.values())
    read = sum(size[shard] for shard in done)
    if seen and read:
        return seen / read, "clip lengths guessed from file sizes, as in the finished shards"
    basis = f"clip lengths guessed from file sizes, {BYTES_PER_SECOND / 1e3:.0f} kB per second"
    return fps / BYTES_PER_SECOND, basis


def _shard(clips: int, guess: float, log: JobLog | None) -> ShardWork:
    if log is None or log.frames is None:
        return ShardWork(clips, guess, guess)
    return ShardWork(
        clips, log.frames, log.frames * (1.0 if log.coverage is None else log.coverage)
    )
