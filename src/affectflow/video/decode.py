"""Frames out of a video file, whatever its state, one in memory at a time.

A video is decoded twice: once for the times of the frames that decode (decoding alone is some
3000 frames/s at 640x480), once for the pixels of the chosen ones. Headers and packets are not
believed: only frames that came out are counted. PyAV keeps libav's own messages off the terminal;
what went wrong is in `detail`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.stream import VideoStream

from affectflow.errors import UserError
from affectflow.video.sampling import Sampling, choose

Matrix = tuple[int, int, int, int]
Status = Literal["ok", "short", "truncated", "undecodable"]


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


@dataclass
class _Damage:
    packets: int = 0
    reason: str = ""

    def add(self, error: av.FFmpegError) -> None:
        self.packets += 1
        self.reason = self.reason or _reason(error)


class _UnreadableError(Exception):
    """A file without a video that libav could decode."""


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
    path = Path(path)
    damage = _Damage()
    try:
        with _video(path) as (container, stream):
            declared = _declared(container, stream)
            step = float(1 / (stream.average_rate or stream.guessed_rate or 25))
            stamps = [
                (_seconds(frame, frame.pts), _seconds(frame, frame.duration))
                for frame in _decoded(container, stream, damage)
            ]
    except _UnreadableError as error:
        return _nothing(path, str(error))
    if not stamps:
        return _nothing(path, damage.reason or "no frame decodes")

    times = _times([time for time, _ in stamps], step)
    end = float(times[-1]) + (stamps[-1][1] or step)
    index = choose(times, end, sampling)
    status, detail = _state(len(times), declared, damage, sampling)
    return ClipPlan(path, status, detail, len(times), end, index, times[index])


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
    last, matrices = int(plan.frame_index[-1]), dict[int, Matrix | None]()
    try:
        with _video(plan.path) as (container, stream):
            for index, frame in enumerate(_decoded(container, stream, _Damage())):
                if index in wanted:
                    # Side data refer to their frame and it to them, which only the garbage
                    # collector ends, hundreds of frames later: they are asked for once per turn.
                    if frame.rotation not in matrices:
                        matrices[frame.rotation] = _matrix(frame)
                    yield Frame(index, wanted[index], _upright(frame, matrices[frame.rotation]))
                if index == last:
                    return
    except _UnreadableError as error:
        raise UserError(f"{plan.path}: {error}, and could be read a moment ago") from error
    raise UserError(
        f"{plan.path}: changed while it was read", "Run again once nobody writes the file."
    )


def read_clip(path: Path | str, sampling: Sampling) -> ClipFrames:
    """Read the chosen frames of a clip into memory.

    For a long video use `plan_clip` and `iter_frames`, which hold one frame.

    Raises
    ------
    UserError
        If the file changes while it is read. What it holds, or that it is missing, is told by
        `status` and `detail` instead.
    """
    plan = plan_clip(path, sampling)
    return ClipFrames(**vars(plan), images=[frame.image for frame in iter_frames(plan)])


def _nothing(path: Path, why: str) -> ClipPlan:
    return ClipPlan(path, "undecodable", why, 0, 0.0, np.empty(0, np.int64), np.empty(0))


@contextmanager
def _video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    if not path.is_file():
        raise _UnreadableError("file is missing")
    if path.stat().st_size == 0:
        raise _UnreadableError("file is empty")
    try:
        # Titles in some other encoding than UTF-8 are no reason to refuse a video.
        container = av.open(str(path), metadata_errors="replace")
    except av.InvalidDataError as error:
        raise _UnreadableError("not a video, or its head is lost") from error
    except (av.FFmpegError, OSError) as error:
        raise _UnreadableError(_reason(error)) from error
    with container:
        covers = Disposition.attached_pic
        streams = [s for s in container.streams.video if not s.disposition & covers]
        if not streams:
            raise _UnreadableError("no video stream")
        if streams[0].codec_context is None:
            raise _UnreadableError("no decoder for its video stream")
        yield container, streams[0]


def _decoded(
    container: InputContainer, stream: VideoStream, damage: _Damage
) -> Iterator[av.VideoFrame]:
    """Yield every frame that decodes, in display order; tell `damage` about the packets lost."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            damage.add(error)
            packet = None
        # An empty packet is a frame dropped by the camera; libav would take it for the end.
        if packet is not None and packet.size == 0:
            continue
        try:
            yield from stream.decode(packet)
        except av.FFmpegError as error:
            damage.add(error)
        if packet is None:
            return


def _declared(container: InputContainer, stream: VideoStream) -> int:
    """Return the frames that the container promises, 0 if it does not say."""
    if "mov" in container.format.name:
        # A trimmed MP4 keeps the samples that its edit list hides, and counts them in its header.
        return sum(not entry.is_discard for entry in stream.index_entries)
    return stream.frames


def _state(frames: int, declared: int, damage: _Damage, sampling: Sampling) -> tuple[Status, str]:
    if frames < declared or damage.packets:
        of = f"{frames} of {declared} declared" if declared else f"{frames}"
        detail = f"{of} frames decode"
        if damage.packets:
            detail += f"; damaged packets: {damage.packets} ({damage.reason})"
        return "truncated", detail
    if sampling.per_clip is not None and frames < sampling.per_clip:
        return "short", f"{frames} frames, {sampling.per_clip} asked"
    return "ok", ""


def _seconds(frame: av.VideoFrame, ticks: int | None) -> float | None:
    return None if ticks is None or frame.time_base is None else float(ticks * frame.time_base)


def _times(stamps: list[float | None], step: float) -> np.ndarray:
    """Return seconds since the first frame, (frames,) float64, never decreasing."""
    filled: list[float] = []
    for stamp in stamps:
        filled.append(stamp if stamp is not None else filled[-1] + step if filled else 0.0)
    # Frames come in display order; a packed bitstream (XVID in AVI) only mixes up their stamps.
    times = np.sort(np.array(filled))
    return times - times[0]


def _matrix(frame: av.VideoFrame) -> Matrix | None:
    """Return a, b, c, d of the display matrix: x' = a x + c y, y' = b x + d y (row vectors)."""
    side_data = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))
    if side_data is None:
        return None
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].tolist()
    return a, b, c, d


def _upright(frame: av.VideoFrame, matrix: Matrix | None) -> np.ndarray:
    """Return RGB (H, W, 3) uint8 with the display matrix (turns and mirrors) applied."""
    image = frame.to_ndarray(format="rgb24")
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
