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
from av.video.stream import VideoStream

from affectflow.errors import UserError
from affectflow.video.container import (
    Damage,
    UnreadableError,
    declared,
    decoded,
    open_video,
    pixel_shape,
    reason_of,
    remarks,
    seconds_per_frame,
)
from affectflow.video.pixels import Upright
from affectflow.video.sampling import Sampling, choose
from affectflow.video.times import frame_times

Status = Literal["ok", "ambiguous", "bad_times", "short", "truncated", "undecodable"]
Made = TypeVar("Made")

UNREADABLE = (UnreadableError, av.FFmpegError, ArithmeticError, ValueError, MemoryError)
"""What a file may raise: it costs its own clip, never those that lie beside it."""


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
        The first that holds of ``undecodable``: no frame decodes; ``truncated``: the file declares
        frames, or holds packets, that do not decode, or not whole; ``short``: fewer frames than
        asked for; ``bad_times``: times that can't be right; ``ambiguous``: more than one
        video, or another choice that the file left; ``ok``.
    detail : str
        Why, for people, also of those that hold beside it; empty where status is ``ok``.
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
        damage = Damage()
        stamps: list[float | None] = []
        last = None
        try:
            with open_video(self.path) as (container, stream):
                promised, steps = declared(container, stream), seconds_per_frame(stream)
                chosen, upright = remarks(container, stream), Upright(pixel_shape(stream))
                for place, frame in enumerate(decoded(container, stream, damage)):
                    stamps.append(_seconds(frame, frame.pts, stream))
                    last = _seconds(frame, frame.duration, stream)
                    if place in self.places:
                        yield upright(frame)
        except UNREADABLE as error:
            self._plan = _nothing(self.path, reason_of(error))
            return
        if not stamps:
            self._plan = _nothing(self.path, str(damage) or "no frame decodes")
            return
        time, end, fault = frame_times(stamps, last, *steps)
        index = choose(time, end, self.sampling)
        status, detail = _state(len(time), promised, damage, self.sampling, fault, chosen)
        self._plan = ClipPlan(self.path, status, detail, len(time), end, index, time[index])

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
    last = int(plan.frame_index[-1])
    try:
        with open_video(plan.path) as (container, stream):
            upright = Upright(pixel_shape(stream))
            for index, frame in enumerate(decoded(container, stream, Damage())):
                if index in wanted:
                    yield Frame(index, wanted[index], upright(frame))
                if index == last:
                    return
    except UNREADABLE as error:
        why = reason_of(error)
        raise UserError(f"{plan.path}: {why}, and could be read a moment ago") from error
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
            steps = seconds_per_frame(stream)
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    stamps.append(_seconds(packet, packet.pts, stream))
                    last = _seconds(packet, packet.duration, stream)
    except UNREADABLE:
        return np.empty(0, np.int64)
    if not stamps:
        return np.empty(0, np.int64)
    # Packets come in another order than frames.
    known = sorted(stamp for stamp in stamps if stamp is not None)
    ordered = known if len(known) == len(stamps) else stamps
    time, end, _ = frame_times(ordered, last, *steps)
    return choose(time, end, sampling)


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


def _state(
    frames: int, declared: int, damage: Damage, sampling: Sampling, fault: str, chosen: str
) -> tuple[Status, str]:
    status: Status = "ok"
    lost = few = ""
    if chosen:
        status = "ambiguous"
    if fault:
        status = "bad_times"
    if sampling.per_clip is not None and frames < sampling.per_clip:
        status, few = "short", f"{frames} frames, {sampling.per_clip} asked"
    if frames < declared or str(damage):
        of = f"{frames} of {declared} declared" if declared else f"{frames}"
        status, few = "truncated", ""
        lost = f"{of} frames decode" + (f"; {damage}" if str(damage) else "")
    return status, "; ".join(filter(None, (lost, few, fault, chosen)))


def _seconds(
    frame: av.VideoFrame | av.Packet, ticks: int | None, stream: VideoStream
) -> float | None:
    # Frames that come when there is no packet any more don't say what they count in.
    try:
        base = frame.time_base or stream.time_base
    except ZeroDivisionError:
        return None
    return None if ticks is None or not base else ticks * base.numerator / base.denominator
