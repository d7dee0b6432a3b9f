"""The chosen frames of a video file, whatever its state.

Which frames are chosen hangs on all that decode, so that a video is decoded to its end before any
is known. Where all of a clip's chosen frames have room, those that its packets promise are kept on
the way; if what decodes bears them out, as in all sound files, that was the only pass. Else, and in
long videos, the chosen ones are decoded in a second pass, one in memory at a time. What went wrong
is in `detail`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import av
import numpy as np

from affectflow.errors import UserError
from affectflow.video.container import (
    Damage,
    UnreadableError,
    Upright,
    declared,
    decoded,
    open_video,
)
from affectflow.video.sampling import Sampling, choose

Status = Literal["ok", "short", "truncated", "undecodable"]
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame.

    Attributes
    ----------
    index : int
        Place among the frames that decode, from 0.
    time : float
        Seconds since the first frame.
    image : numpy.ndarray
        (H, W, 3) uint8, RGB, upright.
    """

    index: int
    time: float
    image: np.ndarray


@dataclass(frozen=True, eq=False)
class ClipPlan:
    """What a clip holds, and which of its frames to take.

    Attributes
    ----------
    path : Path
    status : str
        ``ok``; ``short``: fewer frames than asked for; ``truncated``: the file declares frames, or
        holds packets, that do not decode; ``undecodable``: no frame decodes.
    detail : str
        Why, for people; empty where status is ``ok``.
    frames : int
        Frames that decode.
    duration : float
        Seconds from the first frame until the last one goes.
    frame_index : numpy.ndarray
        (n,) int64: places of the chosen frames among those that decode, increasing.
    time : numpy.ndarray
        (n,) float64: their seconds since the first frame.
    """

    path: Path
    status: Status
    detail: str
    frames: int
    duration: float
    frame_index: np.ndarray
    time: np.ndarray


@dataclass(frozen=True, eq=False)
class ClipFrames(ClipPlan):
    """A plan and its frames' pixels, `images`: n arrays (H, W, 3) uint8, RGB, upright."""

    images: list[np.ndarray]


class Scan:
    """A video decoded to its end: iterate over it, then ask for its `plan`.

    Never raises because of what the file holds, or that it is missing: `status` and `detail` of
    the plan say.

    Parameters
    ----------
    path : Path
    sampling : Sampling
    places : numpy.ndarray or None
        (n,) increasing: places of frames to yield, (H, W, 3) uint8, RGB, upright.
    """

    def __init__(self, path: Path, sampling: Sampling, places: np.ndarray | None = None) -> None:
        self.path, self.sampling = path, sampling
        self.places = frozenset(() if places is None else places.tolist())
        self._plan: ClipPlan | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Decode."""
        damage, upright = Damage(), Upright()
        stamps: list[tuple[float | None, float | None]] = []
        try:
            with open_video(self.path) as (container, stream):
                promised = declared(container, stream)
                step = float(1 / (stream.average_rate or stream.guessed_rate or 25))
                for place, frame in enumerate(decoded(container, stream, damage)):
                    stamps.append((_seconds(frame, frame.pts), _seconds(frame, frame.duration)))
                    if place in self.places:
                        yield upright(frame)
        except UnreadableError as error:
            self._plan = _nothing(self.path, str(error))
            return
        if not stamps:
            self._plan = _nothing(self.path, damage.reason or "no frame decodes")
            return
        times = _times([time for time, _ in stamps], step)
        end = float(times[-1]) + (stamps[-1][1] or step)
        index = choose(times, end, self.sampling)
        status, detail = _state(len(times), promised, damage, self.sampling)
        self._plan = ClipPlan(self.path, status, detail, len(times), end, index, times[index])

    @property
    def plan(self) -> ClipPlan:
        """What the video holds; it is decoded to its end for that."""
        if self._plan is None:
            for _ in self:
                pass
        assert self._plan is not None
        return self._plan


def plan_clip(path: Path | str, sampling: Sampling) -> ClipPlan:
    """Find out which frames of a video decode, and choose among them.

    Never raises because of what the file holds, or that it is missing: `status` and `detail` say.

    Parameters
    ----------
    path : Path
    sampling : Sampling

    Returns
    -------
    ClipPlan
        Without pixels: as small for an hour of video as for ten seconds.
    """
    return Scan(Path(path), sampling).plan


def iter_frames(plan: ClipPlan) -> Iterator[Frame]:
    """Yield the planned frames in order, one in memory at a time.

    Raises
    ------
    UserError
        If the file changed since it was planned.
    """
    if not len(plan.frame_index):
        return
    wanted = dict(zip(plan.frame_index.tolist(), plan.time.tolist(), strict=True))
    last, upright = int(plan.frame_index[-1]), Upright()
    try:
        with open_video(plan.path) as (container, stream):
            for index, frame in enumerate(decoded(container, stream, Damage())):
                if index in wanted:
                    yield Frame(index, wanted[index], upright(frame))
                if index == last:
                    return
    except UnreadableError as error:
        raise UserError(f"{plan.path}: {error}, and could be read a moment ago") from error
    raise UserError(
        f"{plan.path}: changed while it was read", "Run again once nobody writes the file."
    )


def read_frames(
    path: Path,
    sampling: Sampling,
    make: Callable[[Iterable[np.ndarray], int], Iterator[Made]],
    most: int,
) -> tuple[ClipPlan, Iterable[Made]]:
    """Read the chosen frames of a clip, in one pass if they are few and its packets are honest.

    Parameters
    ----------
    path : Path
    sampling : Sampling
    make : callable
        From images (H, W, 3) uint8 RGB, taken one by one, and how many they are at most, to what
        is kept of each, in order.
    most : int
        How many there is room for. Of a clip with more, each is made when it is asked for.

    Raises
    ------
    UserError
        If the file changes while it is read.
    """
    places = promised_places(path, sampling)
    scan = Scan(path, sampling, places if len(places) <= most else None)
    # In this order, which runs the scan to its end.
    made = {
        place: one for one, place in zip(make(scan, len(places)), places.tolist(), strict=False)
    }
    wanted = scan.plan.frame_index.tolist()
    if made.keys() >= set(wanted):
        return scan.plan, [made[place] for place in wanted]
    return scan.plan, make((frame.image for frame in iter_frames(scan.plan)), len(wanted))


def promised_places(path: Path, sampling: Sampling) -> np.ndarray:
    """Return the frames that would be chosen if each packet decodes to one, (n,) int64."""
    stamps: list[float | None] = []
    last = None
    try:
        with open_video(path) as (container, stream):
            step = float(1 / (stream.average_rate or stream.guessed_rate or 25))
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    stamps.append(_seconds(packet, packet.pts))
                    last = _seconds(packet, packet.duration)
    except (UnreadableError, av.FFmpegError):
        return np.empty(0, np.int64)
    if not stamps:
        return np.empty(0, np.int64)
    times = _times(stamps, step)
    return choose(times, float(times[-1]) + (last or step), sampling)


def read_clip(path: Path | str, sampling: Sampling) -> ClipFrames:
    """Read the chosen frames of a clip into memory.

    For a long video use `plan_clip` and `iter_frames`, which hold one frame.

    Raises
    ------
    UserError
        If the file changes while it is read. What it holds, or that it is missing, is told by
        `status` and `detail` instead.
    """
    plan, images = read_frames(
        Path(path), sampling, lambda images, _: iter(images), most=sys.maxsize
    )
    return ClipFrames(**vars(plan), images=[*images])


def _nothing(path: Path, why: str) -> ClipPlan:
    return ClipPlan(path, "undecodable", why, 0, 0.0, np.empty(0, np.int64), np.empty(0))


def _state(frames: int, declared: int, damage: Damage, sampling: Sampling) -> tuple[Status, str]:
    if frames < declared or damage.packets:
        of = f"{frames} of {declared} declared" if declared else f"{frames}"
        detail = f"{of} frames decode"
        if damage.packets:
            detail += f"; damaged packets: {damage.packets} ({damage.reason})"
        return "truncated", detail
    if sampling.per_clip is not None and frames < sampling.per_clip:
        return "short", f"{frames} frames, {sampling.per_clip} asked"
    return "ok", ""


def _seconds(frame: av.VideoFrame | av.Packet, ticks: int | None) -> float | None:
    base = frame.time_base
    return None if ticks is None or base is None else ticks * base.numerator / base.denominator


def _times(stamps: list[float | None], step: float) -> np.ndarray:
    """Return seconds since the first frame, (frames,) float64, never decreasing."""
    filled: list[float] = []
    for stamp in stamps:
        filled.append(stamp if stamp is not None else filled[-1] + step if filled else 0.0)
    # Frames come in display order; a packed bitstream (XVID in AVI) only mixes up their stamps.
    times = np.sort(np.array(filled))
    return times - times[0]
