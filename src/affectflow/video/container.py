"""What comes out of a video file, whatever its state: libav asked with care.

Headers and packets are not believed: only frames that came out are counted. PyAV keeps libav's own
messages off the terminal.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from affectflow.video.pixels import MOST_PIXELS, convertible, usable_shape, whole

COVERS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
"""Pictures that stand for a video."""

RATE = 25.0
"""Frames per second where a file names none, or one that can't be."""
SLOWEST, FASTEST = 1 / 3600, 1000.0

MOST_WAITING = 32
"""Frames that may be on their way through a decoder when it is given a key frame."""


@dataclass
class Damage:
    """What did not decode, or not as it was: packets and why the first didn't, frames."""

    packets: int = 0
    reason: str = ""
    headless: int = 0
    """Frames before the first key frame: what they change is not there."""
    patched: int = 0
    """Frames of which the decoder had to make up a part."""
    begins: bool | None = None
    """Whether the first packet is a key frame, or none is; None: there was no packet yet."""
    keyed: bool = False
    """Whether there was a packet of a key frame."""

    def add(self, error: Exception | str) -> None:
        """Count a packet."""
        self.packets += 1
        self.reason = self.reason or (error if isinstance(error, str) else reason_of(error))

    def __str__(self) -> str:
        parts = [
            f"damaged packets: {self.packets} ({self.reason})" if self.packets else "",
            f"left out until the first key frame: {self.headless}" if self.headless else "",
            f"damaged frames among them: {self.patched}" if self.patched else "",
        ]
        return "; ".join(filter(None, parts))


class UnreadableError(Exception):
    """A file without a video that libav could decode."""


def lenient(version: str) -> dict[str, Any]:
    """Return how that PyAV takes titles in some other encoding than UTF-8: no reason to refuse.

    From 19 on, which Python 3.12 gets, it always takes them, and knows no such argument.
    """
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and find its video.

    Raises
    ------
    UnreadableError
        If there is none, or nothing to decode it with.
    """
    _refuse_other_files(path)
    try:
        # A whole path is none of libav's addresses (`concat:a.avi`).
        container = _open(str(path.absolute()))
    except av.InvalidDataError as error:
        raise UnreadableError("not a video, or its head is lost") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableError(reason_of(error)) from error
    with container:
        yield container, _chosen(container)


def _open(name: str) -> InputContainer:
    # A picture `%03d.jpg` is no row of pictures.
    options = {"max_pixels": str(MOST_PIXELS), "pattern_type": "none"}
    return av.open(name, options=options, **lenient(av.__version__))


def _refuse_other_files(path: Path) -> None:
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        is_link = path.is_symlink()
        what = "a link to a file that is not there" if is_link else "file is missing"
        raise UnreadableError(what) from error
    except (OSError, ValueError) as error:
        raise UnreadableError(reason_of(error)) from error
    # A pipe or a device may have no end, or wait for ever.
    if not stat.S_ISREG(state.st_mode):
        what = "a folder" if stat.S_ISDIR(state.st_mode) else "a pipe, socket or device"
        raise UnreadableError(f"file is missing: it is {what}")
    if state.st_size == 0:
        raise UnreadableError("file is empty")


def _chosen(container: InputContainer) -> VideoStream:
    """Return the video that a player shows: the default one, the largest, the first."""
    streams = _videos(container)
    if not streams:
        raise UnreadableError("no video stream")
    streams = [stream for stream in streams if stream.codec_context is not None]
    if not streams:
        raise UnreadableError("no decoder for its video stream")
    best = max(streams, key=_rank)
    if best.width * best.height > MOST_PIXELS:
        raise UnreadableError(
            f"{best.width} x {best.height} pixels, more than {MOST_PIXELS / 1e6:.0f} million"
        )
    return best


def _videos(container: InputContainer) -> list[VideoStream]:
    return [each for each in container.streams.video if not each.disposition & COVERS]


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    disposition = stream.disposition
    return (
        not disposition & Disposition.dependent,
        bool(disposition & Disposition.default),
        stream.width * stream.height,
    )


def remarks(container: InputContainer, stream: VideoStream) -> str:
    """Return what was chosen where the file leaves a choice; empty where it leaves none."""
    several = ""
    if len(others := _videos(container)) > 1:
        sizes = ", ".join(
            f"#{each.index} ({each.width} x {each.height})"
            if each.codec_context
            # Nothing is known of what can't be decoded.
            else f"#{each.index}"
            for each in others
            if each.index != stream.index
        )
        several = (
            f"{len(others)} video streams: #{stream.index} ({stream.width} x {stream.height}) is "
            f"used, {sizes} not"
        )
    shape = pixel_shape(stream)
    odd = ""
    if shape is not None and usable_shape(shape) != shape:
        odd = f"pixels of {shape.numerator}:{shape.denominator} are taken as square"
    shown, stored = declared(container, stream), stream.frames
    hidden = ""
    if 0 < 2 * shown < stored:
        hidden = f"the file's edit list shows {shown} of its {stored} frames"
    return "; ".join(filter(None, (several, odd, hidden)))


def pixel_shape(stream: VideoStream) -> Fraction | None:
    """Return the width of a pixel by its height, None where the file doesn't say."""
    try:
        return stream.sample_aspect_ratio or None
    except ZeroDivisionError:
        return None


def seconds_per_frame(stream: VideoStream) -> tuple[float, float]:
    """Return the time between frames: on average over the file, and as the file declares it.

    The average comes of the frames' own times, and is as right as these. Where one isn't known, or
    can't be, the other stands in its place, or `RATE`'s.
    """
    rates = {}
    for name in ("average_rate", "guessed_rate", "base_rate"):
        with suppress(ZeroDivisionError, OverflowError):
            rate = float(getattr(stream, name) or 0)
            if SLOWEST <= rate <= FASTEST:
                rates[name] = rate
    declared = rates.get("guessed_rate") or rates.get("base_rate")
    average = rates.get("average_rate") or declared or RATE
    return 1 / average, 1 / (declared or average)


def decoded(
    container: InputContainer, stream: VideoStream, damage: Damage
) -> Iterator[av.VideoFrame]:
    """Yield every frame that decodes, in display order; tell `damage` about what was lost."""
    yield from whole(_sound(_all(container, stream, damage), damage), stream.time_base)


def _sound(frames: Iterator[av.VideoFrame], damage: Damage) -> Iterator[av.VideoFrame]:
    begun, waited = False, 0
    for frame in frames:
        # Not every decoder marks them, nor every file.
        begun = begun or frame.key_frame or bool(damage.begins) or waited > MOST_WAITING
        waited += damage.keyed
        if not begun:
            damage.headless += 1
        elif not convertible(frame.format.name):
            damage.add(f"no way from {frame.format.name} to RGB")
        else:
            damage.patched += frame.is_corrupt
            yield frame


def _all(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[av.VideoFrame]:
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
        if packet is not None and damage.begins is None:
            damage.begins = packet.is_keyframe or not _has_key_frame(container.name, stream.index)
        damage.keyed = damage.keyed or bool(packet and packet.is_keyframe)
        try:
            yield from stream.decode(packet)
        except av.FFmpegError as error:
            damage.add(error)
        if packet is None:
            return


def _has_key_frame(name: str, stream: int) -> bool:
    with suppress(av.FFmpegError), _open(name) as container:
        packets = container.demux(container.streams[stream])
        return any(packet.is_keyframe for packet in packets if packet.size)
    return False


def declared(container: InputContainer, stream: VideoStream) -> int:
    """Return the frames that the container promises, 0 if it does not say."""
    if "mov" in container.format.name:
        # A trimmed MP4 keeps the samples that its edit list hides, and counts them in its header.
        return sum(not entry.is_discard for entry in stream.index_entries)
    return stream.frames


def reason_of(error: Exception) -> str:
    """Return what libav says of it."""
    return getattr(error, "strerror", None) or str(error)
