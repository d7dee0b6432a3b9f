"""The faces of a shard of clips.

Datasets: `clip_id, status, detail` (clips,) text; per clip and sampled frame (clips, frames, ...):
`frame_index` int64 (-1: the clip has no such frame), `time` float64 s, `box` (4) float32
x0,y0,x1,y1 px, `landmarks` (5, 2) float32 px, `score` float32, `face_count` int16, `mask` bool,
`crop` JPEG bytes (empty where `mask` is False).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from affectflow.shards.files import made_by, open_complete, sealed_sha256, texts
from affectflow.shards.rows import BYTES, ClipRows

CONTENT = "faces"

PER_FRAME = {
    "frame_index": ((), np.int64, -1),
    "time": ((), np.float64, np.nan),
    "box": ((4,), np.float32, 0),
    "landmarks": ((5, 2), np.float32, 0),
    "score": ((), np.float32, 0),
    "face_count": ((), np.int16, 0),
    "mask": ((), np.bool_, False),
    "crop": ((), BYTES, None),
}


def face_rows(file: h5py.File, frames: int) -> ClipRows:
    """Return a writer of clips of `frames` sampled frames."""
    return ClipRows(file, frames, PER_FRAME, ("clip_id", "status", "detail"))


@dataclass(frozen=True)
class FoundFaces:
    """What a shard of faces holds, without the crops.

    Attributes
    ----------
    clip_id : list of str
        (clips,).
    counts : numpy.ndarray
        (clips,) int64, how many frames each clip has.
    mask : numpy.ndarray
        (clips, frames) bool, whether a face was found.
    seal : str
        The shard's SHA-256.
    made_by : dict
        What decided it.
    """

    clip_id: list[str]
    counts: np.ndarray
    mask: np.ndarray
    seal: str
    made_by: dict[str, Any]


def read_faces(path: Path) -> FoundFaces:
    """Read a shard of faces, without the crops, after checking that no byte of it has changed.

    Raises
    ------
    UserError
        If it is missing, damaged, or no shard of faces.
    """
    with open_complete(path, CONTENT) as file:
        counts = np.count_nonzero(file["frame_index"][:] >= 0, axis=1)
        found = texts(file["clip_id"]), counts, file["mask"][:]
        return FoundFaces(*found, sealed_sha256(path), made_by(file))
