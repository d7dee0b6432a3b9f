"""When each frame of a video is shown, also where its own times can't be right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

HOUR = 3600.0
"""Seconds: no frame of a video of people stays for longer."""

GAP, GAP_STEPS = 5.0, 10.0
"""A frame that stays for longer than both, seconds and times the usual, is worth a word."""

REORDERED = 4.0
"""How many frames' time may go back: some files mix up those of neighbours."""

LEAST_STEP = 5e-4
"""Seconds between frames: 2,000 frames/s."""

REPEATED = 0.25
"""Share of frames with the time of another that is worth a word."""


class Times(NamedTuple):
    """Times of frames.

    Attributes
    ----------
    time : numpy.ndarray
        (frames,) float64: seconds since the first frame, never decreasing.
    end : float
        Seconds: when the last frame goes.
    fault : str
        What was wrong with the file's own times and what stands in their place; empty: nothing.
    """

    time: np.ndarray
    end: float
    fault: str


def frame_times(
    stamps: Sequence[float | None], last: float | None, step: float, declared: float | None = None
) -> Times:
    """Return when frames are shown, by their own times as far as those can be right.

    Frames without a time follow the one before. Where time jumps (back, or by more than an hour)
    it goes on from the frame before; where most frames share their times, frames are counted.

    Parameters
    ----------
    stamps : sequence of float or None
        (frames,), at least one: seconds, in display order but for neighbours.
    last : float or None
        Seconds for which the last frame is shown.
    step : float
        Seconds from frame to frame.
    declared : float, optional
        The same, of which it is known that it does not come of these times.
    """
    declared = declared or step
    if len(stamps) > 1 and all(stamp is None for stamp in stamps):
        return _counted(len(stamps), declared, "no frame has a time")
    times, faults = _filled(stamps, step), []
    usual = _usual(times, declared)
    jumps = _jumps(times, usual)
    if len(jumps):
        moved = np.diff(times, prepend=times[0])
        by = moved[jumps[0]]
        moved[jumps] = usual
        times = np.cumsum(moved)
        faults.append(
            f"time jumps at {len(jumps)} frame(s), first by {by:.4g} s at frame {jumps[0]}: it "
            "goes on from the frame before"
        )
    # Frames come in display order; a packed bitstream (XVID in AVI) only mixes up their stamps.
    ordered = np.sort(times)
    if np.abs(ordered - times).max() > REORDERED * usual:
        faults.append("times run backwards: they are put in order")
    steps = np.diff(ordered)
    if len(steps) and np.median(steps) < LEAST_STEP:
        return _counted(len(stamps), declared, "frames have the same time, or nearly")
    if len(steps):
        repeated = np.count_nonzero(steps == 0)
        if repeated > REPEATED * len(steps):
            faults.append(f"{repeated} frames have the time of another: spread until the next")
        if repeated:
            ordered = _spread(ordered, step)
        longest = int(steps.argmax())
        if steps[longest] > max(GAP, GAP_STEPS * float(np.median(steps))):
            since = ordered[longest] - ordered[0]
            faults.append(f"no frame for {steps[longest]:.1f} s after {since:.1f} s")
    ordered = ordered - ordered[0]
    shown = last if last and 0 < last < HOUR else step
    return Times(ordered, float(ordered[-1]) + shown, "; ".join(faults))


def _counted(frames: int, step: float, why: str) -> Times:
    fault = f"{why}: counted at {1 / step:.4g} frames/s"
    return Times(np.arange(frames) * step, frames * step, fault)


def _filled(stamps: Sequence[float | None], step: float) -> np.ndarray:
    """Return times, those that are missing one `step` after another from one that is known."""
    place = next((i for i, stamp in enumerate(stamps) if stamp is not None), 0)
    last = (stamps[place] or 0.0) - (place + 1) * step
    filled = []
    for stamp in stamps:
        last = last + step if stamp is None else stamp
        filled.append(last)
    return np.array(filled)


def _usual(times: np.ndarray, declared: float) -> float:
    """Return the usual time between frames: what is declared is wrong at times."""
    moved = np.abs(np.diff(times))
    usual = float(np.median(moved)) if len(moved) else declared
    return usual if LEAST_STEP <= usual <= HOUR else declared


def _jumps(times: np.ndarray, usual: float) -> np.ndarray:
    """Return the frames before which time jumps."""
    moved = np.diff(times)
    back = moved < -REORDERED * usual
    # A clock that went back once is not believed when it leaps ahead.
    most = max(GAP, GAP_STEPS * usual) if back.any() else HOUR
    return np.flatnonzero(back | (moved > most)) + 1


def _spread(times: np.ndarray, step: float) -> np.ndarray:
    """Return times in which those that are equal are spread until the next."""
    first = np.flatnonzero(np.diff(times, prepend=times[0] - 1) > 0)
    until = np.append(times[first[1:]], times[-1] + step)
    count = np.diff(np.append(first, len(times)))
    place = np.arange(len(times)) - np.repeat(first, count)
    return times + place * np.repeat((until - times[first]) / count, count)
