"""Which frames of a clip to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from affectflow.errors import UserError

TIMER = 1e-3
"""Seconds: containers such as WebM round times to the millisecond."""

FASTEST = 1e6
"""Frames per second: every frame of any video."""

ROUNDING = 3
"""By how many ticks one that is computed may be too early."""


@dataclass(frozen=True)
class Sampling:
    """How frames are chosen: a number per clip, or a number per second.

    Attributes
    ----------
    per_clip : int or None
        Frames per clip, evenly spaced.
    fps : float or None
        Frames per second of video.

    Raises
    ------
    UserError
        If not exactly one of them is given, or it is not positive.
    """

    per_clip: int | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be sampled."""
        if (self.per_clip is None) == (self.fps is None):
            raise UserError(
                f"frames: per_clip is {self.per_clip} and fps is {self.fps}",
                "Give one of the two and set the other to null.",
            )
        if self.per_clip is not None and self.per_clip < 1:
            raise UserError(f"frames.per_clip: {self.per_clip} is not positive")
        if self.fps is not None and not 0 < self.fps < np.inf:
            raise UserError(f"frames.fps: {self.fps} is not positive")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Sampling:
        """Read the keys ``per_clip`` and ``fps`` of a config section; others are not looked at."""
        return cls(settings.get("per_clip"), settings.get("fps"))


def evenly_spaced(frames: int, per_clip: int) -> np.ndarray:
    """Return the middle frame of each of `per_clip` equal parts of a clip.

    Frame ``floor((2 k + 1) frames / (2 per_clip))`` for k = 0 .. per_clip - 1; every frame of a
    clip that has no more than `per_clip`.

    Returns
    -------
    numpy.ndarray
        (min(frames, per_clip),) int64, strictly increasing.
    """
    parts = min(frames, per_clip)
    if parts == 0:
        return np.empty(0, np.int64)
    return (2 * np.arange(parts, dtype=np.int64) + 1) * frames // (2 * parts)


def shown_at_rate(times: ArrayLike, end: float, fps: float) -> np.ndarray:
    """Return the frames shown at the times k / fps, from the first frame's until before the end.

    A frame is shown from its time (give or take `TIMER`) until the next frame's. One that is shown
    at several of the times is returned once.

    Parameters
    ----------
    times : array_like
        (frames,) seconds, never decreasing.
    end : float
        Seconds: when the last frame goes.
    fps : float

    Returns
    -------
    numpy.ndarray
        (n,) int64, strictly increasing.
    """
    times = np.asarray(times, float)
    if not len(times):
        return np.empty(0, np.int64)
    fps = min(fps, FASTEST)
    # Counted by frame: how many ticks there are is for the times to say, and these may be wrong.
    ticks = max(np.ceil((end - times[0] - TIMER) * fps), 1.0)
    first = np.maximum(np.floor((times - times[0] - TIMER) * fps) - 1, 0)
    for _ in range(ROUNDING):
        first += times[0] + first / fps + TIMER < times
    shown = np.minimum(np.append(first[1:], ticks), ticks) > first
    return np.flatnonzero(shown).astype(np.int64)


def choose(times: ArrayLike, end: float, sampling: Sampling) -> np.ndarray:
    """Return the indices of the frames to take, (n,) int64, strictly increasing.

    Parameters
    ----------
    times : array_like
        (frames,) seconds of every frame that decodes, never decreasing.
    end : float
        Seconds: when the last frame goes.
    sampling : Sampling
    """
    if sampling.per_clip is not None:
        return evenly_spaced(len(np.asarray(times)), sampling.per_clip)
    assert sampling.fps is not None
    return shown_at_rate(times, end, sampling.fps)
