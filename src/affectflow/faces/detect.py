"""From the frames of a shard to its faces."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectflow.faces.between import looks
from affectflow.faces.clip import build_detectors, find_faces, iter_crops
from affectflow.joblog import frames_line
from affectflow.shards.faces import CONTENT, face_rows
from affectflow.shards.files import create, open_complete, sealed_sha256
from affectflow.shards.frames import CONTENT as FRAMES
from affectflow.shards.frames import iterate
from affectflow.video import jpeg

log = logging.getLogger(__name__)


def detect_shard(
    frames: Path, settings: Mapping[str, Any], device: torch.device, target: Path, code: str = ""
) -> None:
    """Find, follow and crop one face through each clip of a shard.

    Parameters
    ----------
    frames : Path
        A shard of frames (`affectflow.shards.frames`).
    settings : mapping
        `faces` of the config.
    device : torch.device
    target : Path
        The shard of faces to write (`affectflow.shards.faces`).
    code : str
        Digest of the code that does this, kept in the file's attributes.

    Raises
    ------
    UserError
        If the shard of frames is not whole, or there is no such detector.
    """
    detectors = build_detectors(settings, str(device))
    size, margin, align = settings["crop_size"], settings["margin"], settings["align"]
    made_by = {"faces": dict(settings), "code": code}
    start, looked_at, found = time.monotonic(), 0, 0
    with (
        open_complete(frames, FRAMES) as source,
        create(target, CONTENT, made_by | {"frames": sealed_sha256(frames)}) as out,
    ):
        rows = face_rows(out, source["frame_index"].shape[1])
        for clip in iterate(source):
            every = looks(settings.get("every", "auto"), clip.time)
            faces = find_faces(clip.jpeg, detectors, every)
            crops = iter_crops(clip.jpeg, faces, size, margin, align)
            rows.append(
                {"clip_id": clip.clip_id, "status": clip.status, "detail": clip.detail},
                vars(faces)
                | {"frame_index": clip.frame_index, "time": clip.time}
                | {"crop": (None if crop is None else jpeg.encode(crop) for crop in crops)},
            )
            looked_at += len(clip.frame_index)
            found += int(np.count_nonzero(faces.mask))
    log.info(frames_line(looked_at, time.monotonic() - start, str(device), found))
