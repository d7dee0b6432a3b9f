"""How many bytes the stages write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

JPEG_BYTES = {60: 22e3, 80: 30e3, 90: 42e3, 95: 59e3, 100: 109e3}
"""By JPEG quality, bytes of a frame of 640x480: the mean of 90 frames of webcam clips, and a
quarter more for busier rooms. Of those frames at quality 95, one in twenty was beyond 87 kB."""
CROP_BYTES = 15e3
"""Bytes of a face crop of 224 px at the crops' quality, 95: 10-16 kB on the same clips."""
CROP_SIZE = 224
FACE_ROW = 120
"""Bytes per sampled frame of the arrays beside the crops: boxes, landmarks, times."""
FILE_BYTES = 30e3
"""Bytes of an HDF5 file with next to nothing in it."""
CLIP_BYTES = 1e3
"""Bytes per clip of a shard's text and of its place in the file."""
BYTES_PER_SECOND = 125e3
"""Bytes of a second of webcam video, where clip lengths must be guessed: DAiSEE's clips of 10 s
have 1.0-1.5 MB."""
WEIGHTS = {"resnet18": 45e6, "inception_resnet_v1": 94e6}
OTHER_WEIGHTS = 100e6
MODEL_BYTES = 8e6
"""The dissertation's largest sequence model in float32, with its history and metrics."""
PREDICTION_BYTES = 90
"""Bytes of one row of predictions.csv: a clip and a task."""
INDEX_BYTES = 150
"""Bytes of a clip in clips.csv; the audit and the join of embeddings have about as much."""
SMALL_BYTES = 75e3
"""A figure, a table, metrics.json."""
REPORT_BYTES = 4.0e6
"""Snakemake's report page without its figures."""
METADATA_BYTES = 2e3
"""Snakemake's record of an output, and the job's log."""
DIM = 512


def frame_bytes(quality: int) -> float:
    """Return the bytes of a temporary frame at a JPEG quality (1-100), between measured ones."""
    known = sorted(JPEG_BYTES)
    quality = max(quality, known[0])
    above = next(q for q in known if q >= quality)
    below = max(q for q in known if q <= quality)
    share = (quality - below) / (above - below) if above > below else 0.0
    return JPEG_BYTES[below] + share * (JPEG_BYTES[above] - JPEG_BYTES[below])


def crop_bytes(crop_size: int) -> float:
    """Return the bytes of a face crop with sides of `crop_size` pixels."""
    return CROP_BYTES * (crop_size / CROP_SIZE) ** 2


def shard_bytes(clips: int, content: float) -> float:
    """Return the bytes of a shard of `clips` with `content` bytes for their frames."""
    return FILE_BYTES + clips * CLIP_BYTES + content


def embedding_bytes(backbone: str) -> float:
    """Return the bytes of a frame's embedding, D float16 and a mask, without loading torch."""
    models = Path(__file__).parents[1] / "backbones" / "models"
    source = models / f"{backbone}.py"
    found = re.search(r"\bdim=(\d+)", source.read_text()) if source.is_file() else None
    return 2 * (int(found[1]) if found else DIM) + 1


def weights_bytes(backbone: str, settings: Mapping[str, Any]) -> float:
    """Return the bytes of a backbone's weights."""
    path = Path(settings.get("weights", "random")).expanduser()
    if path.is_file():
        return path.stat().st_size
    return WEIGHTS.get(backbone, OTHER_WEIGHTS)
