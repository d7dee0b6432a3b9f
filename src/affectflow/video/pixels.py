"""Pixels of frames as a player shows them: whole pictures, of square pixels, upright."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import cast

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideData
from av.video.reformatter import VideoReformatter

Matrix = tuple[int, int, int, int]

MOST_PIXELS = 2**26
"""Of a frame: 8192 x 8192. Its RGB takes 200 MB."""

MOST_STRETCH = 8
"""Pixels that are said to be longer than this, one way or the other, are taken as square."""


class Upright:
    """The pixels of a video's frames, turned and mirrored as its display matrix says.

    Parameters
    ----------
    shape : Fraction or None
        Width of a pixel by its height; None: 1.
    """

    def __init__(self, shape: Fraction | None = None) -> None:
        self.shape = usable_shape(shape)
        self.matrices: dict[int, Matrix | None] = {}
        # A frame that converts itself prepares for that anew, three times as long, on all cores.
        self.reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Return RGB (H, W, 3) uint8."""
        # Side data refer to their frame and it to them, which only the garbage collector ends,
        # hundreds of frames later: they are asked for once per turn.
        if frame.rotation not in self.matrices:
            self.matrices[frame.rotation] = _matrix(frame)
        wide = max(1, round(frame.width * self.shape))
        wide = wide if wide * frame.height <= MOST_PIXELS else frame.width
        image = self.reformatter.reformat(
            frame,
            wide,
            format="rgb24",
            interpolation=None if wide == frame.width else "BICUBIC",
            threads=1,
        ).to_ndarray()
        return _upright(image, self.matrices[frame.rotation])


def usable_shape(shape: Fraction | None) -> Fraction:
    """Return the width of a pixel by its height, 1 where that can't be what it says."""
    usable = shape is not None and Fraction(1, MOST_STRETCH) <= shape <= MOST_STRETCH
    return shape if shape and usable else Fraction(1)


@cache
def convertible(pixel_format: str) -> bool:
    """Return whether libav can make RGB of a format of pixels."""
    try:
        av.VideoFrame(16, 16, pixel_format).reformat(format="rgb24")
    except (av.FFmpegError, ValueError):
        return False
    return True


def whole(frames: Iterator[av.VideoFrame], base: Fraction | None) -> Iterator[av.VideoFrame]:
    """Yield frames, those that are interlaced (two half pictures, one after the other) as one.

    As many come out as go in, in order. Until an interlaced one comes they are passed on as they
    are; from there on a filter has them, which leaves alone those that are not marked.
    """
    graph: Graph | None = None
    form: tuple[int, int, str] | None = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        seen = frame.width, frame.height, frame.format.name
        if graph is None or seen != form:
            yield from _rest(graph)
            graph, form = _deinterlacer(frame, base), seen
        graph.vpush(frame)
        yield from _ready(graph)
    yield from _rest(graph)


def _deinterlacer(frame: av.VideoFrame, base: Fraction | None) -> Graph:
    graph = Graph()
    # One frame in memory at a time, as without it.
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or base or Fraction(1, 1000),
    )
    filters = [graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")]
    graph.link_nodes(source, *filters).configure()
    return graph


def _ready(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield cast(av.VideoFrame, frame)


def _rest(graph: Graph | None) -> Iterator[av.VideoFrame]:
    if graph is not None:
        graph.vpush(None)
        yield from _ready(graph)


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
