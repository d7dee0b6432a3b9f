"""From the frames of a shard, or its videos, to its faces."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectflow.ahead import ahead
from affectflow.busy import Busy
from affectflow.faces.between import looks
from affectflow.faces.clip import ClipFaces, build_detectors, find_faces, iter_crops
from affectflow.faces.detection import Detections, Detector
from affectflow.joblog import frames_line
from affectflow.shards.faces import CONTENT, face_rows
from affectflow.shards.files import create, open_complete, sealed_sha256
from affectflow.shards.files import made_by as origin_of
from affectflow.shards.frames import CONTENT as FRAMES
from affectflow.shards.frames import Frames, iterate
from affectflow.video import jpeg, nvjpeg
from affectflow.video.direct import iter_clips

log = logging.getLogger(__name__)

CLIPS = 2
"""Clips that are ready for a GPU, or before it, while it has another's frames."""


def detect_shard(
    frames: Path,
    settings: Mapping[str, Any],
    device: torch.device,
    target: Path,
    code: str = "",
    threads: int = 1,
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
    threads : int
        CPU threads that decode frames and cut crops while a GPU looks at others. On a CPU all is
        done by one.

    Raises
    ------
    UserError
        If the shard of frames is not whole, or there is no such detector.
    """
    with open_complete(frames, FRAMES) as source:
        decode, decoder = _decoder(settings.get("decode", "cpu"), device, threads)
        sampling = origin_of(source).get("frames")
        made_by = {"code": code, "frames": sealed_sha256(frames), "sampling": sampling} | decoder
        width = source["frame_index"].shape[1]
        _detect(iterate(source), width, settings, device, target, made_by, threads, decode)


def detect_in_videos(
    videos: Sequence[tuple[str, str]],
    root: Path,
    frames: Mapping[str, Any],
    settings: Mapping[str, Any],
    device: torch.device,
    target: Path,
    code: str = "",
    threads: int = 1,
) -> None:
    """Do the same right from the videos, without a shard of frames.

    Parameters
    ----------
    videos : sequence of (str, str)
        Clip ids, and paths from `root`.
    root : Path
    frames : mapping
        `frames` of the config.
    settings, device, target, code, threads
        As in `detect_shard`.

    Raises
    ------
    UserError
        If `root` is not there, a video changes while it is read, or there is no such detector.
    """
    ahead_of_gpu = threads if device.type == "cuda" else 0
    clips = iter_clips(videos, root, frames, ahead_of_gpu)
    decode, _ = _decoder("cpu", device, threads)
    made_by = {"code": code, "sampling": dict(frames)}
    width = frames.get("per_clip") or 0
    _detect(clips, width, settings, device, target, made_by, threads, decode)


def _detect(
    clips: Iterable[Frames],
    width: int,
    settings: Mapping[str, Any],
    device: torch.device,
    target: Path,
    made_by: Mapping[str, Any],
    threads: int,
    decode: jpeg.Decode,
) -> None:
    busy = Busy(device)
    detectors = [_InTurn(detector, busy) for detector in build_detectors(settings, str(device))]
    threads = threads if device.type == "cuda" else 0
    size, margin, align = settings["crop_size"], settings["margin"], settings["align"]

    def look(clip: Frames) -> tuple[Frames, ClipFaces]:
        every = looks(settings.get("every", "auto"), clip.time)
        return clip, find_faces(clip.images, detectors, every, decode)

    start, looked_at, found = time.monotonic(), 0, 0
    with create(target, CONTENT, {"faces": dict(settings), **made_by}) as out:
        rows = face_rows(out, width)
        for clip, faces in ahead(look, clips, min(threads, CLIPS), CLIPS):
            crops = iter_crops(clip.images, faces, size, margin, align, decode, threads)
            rows.append(
                {"clip_id": clip.clip_id, "status": clip.status, "detail": clip.detail},
                vars(faces)
                | {"frame_index": clip.frame_index, "time": clip.time}
                | {"crop": ahead(_encode, crops, threads, 2 * threads)},
            )
            looked_at += len(clip.frame_index)
            found += int(np.count_nonzero(faces.mask))
    seconds = time.monotonic() - start
    log.info(frames_line(looked_at, seconds, str(device), found, busy.seconds))


def _decoder(asked: str, device: torch.device, threads: int) -> tuple[jpeg.Decode, dict[str, str]]:
    """Return what decodes the frames, and what the file says of it if it is not the usual."""
    if asked == "gpu":
        why_not = nvjpeg.why_not(device)
        if not why_not:
            return partial(nvjpeg.decode_each, device=device), {"decoder": "nvJPEG"}
        log.info("faces.decode: gpu: %s; the CPU decodes", why_not)
    return partial(jpeg.decode_each, threads=threads if device.type == "cuda" else 0), {}


class _InTurn:
    """A detector that the threads of several clips ask, one at a time."""

    def __init__(self, detector: Detector, busy: Busy) -> None:
        self.detector, self.busy = detector, busy
        self.smallest = detector.smallest

    def detect(
        self, images: Sequence[np.ndarray], near: Sequence[np.ndarray] | None = None
    ) -> list[Detections]:
        with self.busy:
            return self.detector.detect(images, near)


def _encode(crop: np.ndarray | None) -> np.ndarray | None:
    return None if crop is None else jpeg.encode(crop)
