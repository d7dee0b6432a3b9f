"""From the videos of a shard to their sampled frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from affectflow.ahead import ahead
from affectflow.errors import UserError
from affectflow.joblog import frames_line
from affectflow.shards.files import create
from affectflow.shards.frames import CONTENT, FrameWriter
from affectflow.video import jpeg
from affectflow.video.decode import read_frames
from affectflow.video.sampling import Sampling

log = logging.getLogger(__name__)

KEPT = 1000
"""JPEG files that are kept until it is known which frames decode: 50 MB. More: in a second pass."""


def extract_shard(
    videos: Sequence[tuple[str, str]],
    root: Path,
    settings: Mapping[str, Any],
    target: Path,
    code: str = "",
    threads: int = 1,
) -> None:
    """Sample the frames of every video of a shard.

    A video that does not decode, or not as it should, keeps its place; its status and detail say
    why. A few frames are in memory at a time, and up to `KEPT` as JPEG files.

    Parameters
    ----------
    videos : sequence of (str, str)
        Clip ids, and paths from `root`.
    root : Path
    settings : mapping
        `frames` of the config: ``per_clip`` or ``fps``, ``jpeg_quality``.
    target : Path
        The shard of frames to write (`affectflow.shards.frames`).
    code : str
        Digest of the code that does this, kept in the file's attributes.
    threads : int
        One decodes, and the others, if any, encode: to the same bytes.

    Raises
    ------
    UserError
        If `root` is not there, or a video changes while it is read.
    """
    check_root(root)
    sampling = Sampling.from_settings(settings)
    quality = settings.get("jpeg_quality", jpeg.QUALITY)

    def encode(images: Iterable[np.ndarray], _: int) -> Iterator[np.ndarray]:
        each = partial(jpeg.encode, quality=quality)
        return ahead(each, images, threads - 1, 2 * threads)

    start, frames = time.monotonic(), 0
    with create(target, CONTENT, {"frames": dict(settings), "code": code}) as out:
        writer = FrameWriter(out, sampling.per_clip or 0)
        for clip_id, path in videos:
            plan, files = read_frames(root / path, sampling, encode, KEPT)
            chosen = plan.frame_index, plan.time
            writer.append(clip_id, plan.status, plan.detail, *chosen, files)
            frames += len(plan.frame_index)
            if plan.status != "ok":
                log.info("%s: %s: %s", path, plan.status, plan.detail)
    log.info("%d clips", len(videos))
    log.info(frames_line(frames, time.monotonic() - start, "cpu"))


def check_root(root: Path) -> None:
    """Make sure that the videos' folder is there.

    Raises
    ------
    UserError
        If it isn't.
    """
    try:
        is_there = root.is_dir()
    except OSError:  # nobody may look at what is above it, or the path is too long
        is_there = False
    if not is_there:
        raise UserError(
            f"dataset.root: the folder {root} is not there (any more)",
            "Is its file system mounted on this machine?",
        )
