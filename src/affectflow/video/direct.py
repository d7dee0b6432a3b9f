"""From videos to their frames without a file between: for who looks at them at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np

from affectflow.ahead import ahead
from affectflow.shards.frames import Frames, FrameWriter, iterate
from affectflow.video import jpeg
from affectflow.video.decode import read_frames
from affectflow.video.extract import check_root
from affectflow.video.sampling import Sampling

log = logging.getLogger(__name__)

ROOM = 384 * 2**20
"""Bytes that a clip's pixels may take: 400 frames of 640x480. Of more, JPEG files are kept."""

KEPT = 1000
"""JPEG files that may be in memory. More lie on disk, where temporary files do."""


def iter_clips(
    videos: Sequence[tuple[str, str]], root: Path, settings: Mapping[str, Any], threads: int = 0
) -> Iterator[Frames]:
    """Yield the sampled frames of videos, a clip at a time.

    As `affectflow.video.extract.extract_shard` keeps them, but for pixels in place of JPEG files.

    Parameters
    ----------
    videos : sequence of (str, str)
        Clip ids, and paths from `root`.
    root : Path
    settings : mapping
        `frames` of the config.
    threads : int
        CPU threads that decode the next clips meanwhile; 0: each is decoded when it is asked for.

    Raises
    ------
    UserError
        If `root` is not there, or a video changes while it is read.
    """
    check_root(root)
    sampling = Sampling.from_settings(settings)
    quality = settings.get("jpeg_quality", jpeg.QUALITY)

    def keep(images: Iterable[np.ndarray], frames: int) -> Iterator[np.ndarray]:
        for image in images:
            fits = frames <= KEPT and frames * image.nbytes <= ROOM
            yield image if fits else jpeg.encode(image, quality)

    def read(video: tuple[str, str]) -> Frames:
        clip_id, path = video
        plan, images = read_frames(root / path, sampling, keep, KEPT)
        if plan.status != "ok":
            log.info("%s: %s: %s", path, plan.status, plan.detail)
        said = clip_id, plan.status, plan.detail, plan.frame_index, plan.time
        few = len(plan.frame_index) <= KEPT
        return Frames(*said, [*images]) if few else _on_disk(*said, images)

    yield from ahead(read, videos, threads, threads)


def _on_disk(
    clip_id: str,
    status: str,
    detail: str,
    frame_index: np.ndarray,
    time: np.ndarray,
    files: Iterable[np.ndarray],
) -> Frames:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = h5py.File(Path(folder) / "frames.h5", "w")
        writer = FrameWriter(file, len(frame_index))
        writer.append(clip_id, status, detail, frame_index, time, files)
    # The file has no name any more: it goes with the frames, which hold it open.
    return next(iterate(file))
