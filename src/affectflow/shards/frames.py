"""The frames of a shard of clips: JPEG-coded, temporary.

Datasets: `clip_id, status, detail` (clips,) text; per frame (clips, frames): `frame_index` int64
(-1: none), `time` float64 s (NaN: none), `jpeg` bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from affectflow.shards.files import texts
from affectflow.shards.rows import BYTES, ClipRows

CONTENT = "frames"


@dataclass
class Frames:
    """The sampled frames of one clip.

    Attributes
    ----------
    clip_id, status, detail : str
        Which clip; how decoding went (``ok``, ``short``, ``truncated``, ``undecodable``); why.
    frame_index : numpy.ndarray
        (n,) int64: place in the video, from 0.
    time : numpy.ndarray
        (n,) float64: seconds from the video's start.
    images : sequence of numpy.ndarray
        n frames: JPEG files (bytes,) uint8, each read when it is asked for, or, where they come
        right from the video, pixels (H, W, 3) uint8 RGB.
    """

    clip_id: str
    status: str
    detail: str
    frame_index: np.ndarray
    time: np.ndarray
    images: Sequence[np.ndarray]


class StoredFrames(Sequence[np.ndarray]):
    """The JPEG files of a clip in an open file."""

    def __init__(self, dataset: h5py.Dataset, row: int, length: int) -> None:
        self.dataset, self.row, self.length = dataset, row, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: Any) -> Any:
        """Read the i-th frame's JPEG file, (bytes,) uint8."""
        if not 0 <= i < self.length:
            raise IndexError(i)
        return self.dataset[self.row, i]


class FrameWriter:
    """Append clips to an open file of frames."""

    def __init__(self, file: h5py.File, frames: int) -> None:
        per_frame = {"frame_index": ((), np.int64, -1), "time": ((), np.float64, np.nan)}
        self.rows = ClipRows(
            file,
            frames,
            per_frame | {"jpeg": ((), BYTES, None)},
            ("clip_id", "status", "detail"),
        )

    def append(
        self,
        clip_id: str,
        status: str,
        detail: str,
        frame_index: np.ndarray,
        time: np.ndarray,
        jpeg: Iterable[np.ndarray],
    ) -> None:
        """Add a clip, see `Frames`; `jpeg` is consumed one frame at a time."""
        self.rows.append(
            {"clip_id": clip_id, "status": status, "detail": detail},
            {"frame_index": frame_index, "time": time, "jpeg": jpeg},
        )


def iterate(file: h5py.File) -> Iterator[Frames]:
    """Yield the clips of a file of frames, one in memory at a time."""
    ids, statuses, details = (texts(file[name]) for name in ("clip_id", "status", "detail"))
    for row, clip_id in enumerate(ids):
        index = file["frame_index"][row]
        n = int((index >= 0).sum())
        yield Frames(
            clip_id,
            statuses[row],
            details[row],
            index[:n],
            file["time"][row, :n],
            StoredFrames(file["jpeg"], row, n),
        )
