"""What comes out of a video file, whatever its state: libav asked with care.

Headers and packets are not believed: only frames that came out are counted. PyAV keeps libav's own
messages off the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

Matrix = tuple[int, int, int, int]


@dataclass
class Damage:
    """Packets that did not decode, and why the first didn't."""

    packets: int = 0
    reason: str = ""

    def add(self, error: av.FFmpegError) -> None:
        """Count a packet."""
        self.packets += 1
        self.reason = self.reason or reason_of(error)


class UnreadableError(Exception):
    """A file without a video that libav could decode."""


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and find its video.

    Raises
    ------
    UnreadableError
        If there is none, or nothing to decode it with.
    """
    if not path.is_file():
        raise UnreadableError("file is missing")
    if path.stat().st_size == 0:
        raise UnreadableError("file is empty")
    try:
        # Titles in some other encoding than UTF-8 are no reason to refuse a video.
        container = av.open(str(path), metadata_errors="replace")
    except av.InvalidDataError as error:
        raise UnreadableError("not a video, or its head is lost") from error
    except (av.FFmpegError, OSError) as error:
        raise UnreadableError(reason_of(error)) from error
    with container:
        covers = Disposition.attached_pic
        streams = [s for s in container.streams.video if not s.disposition & covers]
        if not streams:
            raise UnreadableError("no video stream")
        if streams[0].codec_context is None:
            raise UnreadableError("no decoder for its video stream")
        yield container, streams[0]


def decoded(
    container: InputContainer, stream: VideoStream, damage: Damage
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


def declared(container: InputContainer, stream: VideoStream) -> int:
    """Return the frames that the container promises, 0 if it does not say."""
    if "mov" in container.format.name:
        # A trimmed MP4 keeps the samples that its edit list hides, and counts them in its header.
        return sum(not entry.is_discard for entry in stream.index_entries)
    return stream.frames


class Upright:
    """The pixels of a video's frames, turned and mirrored as its display matrix says."""

    def __init__(self) -> None:
        self.matrices: dict[int, Matrix | None] = {}
        # A frame that converts itself prepares for that anew, three times as long, on all cores.
        self.reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Return RGB (H, W, 3) uint8."""
        # Side data refer to their frame and it to them, which only the garbage collector ends,
        # hundreds of frames later: they are asked for once per turn.
        if frame.rotation not in self.matrices:
            self.matrices[frame.rotation] = _matrix(frame)
        image = self.reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return _upright(image, self.matrices[frame.rotation])


def _matrix(frame: av.VideoFrame) -> Matrix | None:
    """Return a, b, c, d of the display matrix: x' = a x + c y, y' = b x + d y (row vectors)."""
    side_data = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))
    if side_data is None:
        return None
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].tolist()
    return a, b, c, d


def _upright(image: np.ndarray, matrix: Matrix | None) -> np.ndarray:
    """Return an image with the display matrix (turns and mirrors) applied."""
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def reason_of(error: Exception) -> str:
    """Return what libav says of it."""
    return getattr(error, "strerror", None) or str(error)
