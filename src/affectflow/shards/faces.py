"""The faces of a shard of clips.

Datasets: `clip_id, status, detail` (clips,) text; per clip and sampled frame (clips, frames, ...):
`frame_index` int64 (-1: the clip has no such frame), `time` float64 s, `box` (4) float32
x0,y0,x1,y1 px, `landmarks` (5, 2) float32 px, `score` float32, `face_count` int16, `mask` bool,
`crop` JPEG bytes (empty where `mask` is False).
"""

from __future__ import annotations

import h5py
import numpy as np

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
