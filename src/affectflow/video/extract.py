"""From the videos of a shard to their sampled frames."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectflow.errors import UserError
from affectflow.shards.files import create
from affectflow.shards.frames import CONTENT, FrameWriter
from affectflow.video import jpeg
from affectflow.video.decode import iter_frames, plan_clip
from affectflow.video.sampling import Sampling

log = logging.getLogger(__name__)


def extract_shard(
    clips: Path, root: Path, shard: int, settings: Mapping[str, Any], target: Path
) -> None:
    """Sample the frames of every video of a shard.

    A video that does not decode, or not as it should, keeps its place; its status and detail say
    why. One frame is in memory at a time.

    Parameters
    ----------
    clips : Path
        clips.csv.
    root : Path
        Where its paths start from.
    shard : int
    settings : mapping
        `frames` of the config: ``per_clip`` or ``fps``, ``jpeg_quality``.
    target : Path
        The shard of frames to write (`affectflow.shards.frames`).

    Raises
    ------
    UserError
        If `root` is not there, or a video changes while it is read.
    """
    if not root.is_dir():
        raise UserError(
            f"dataset.root: the folder {root} is not there (any more)",
            "Is its file system mounted on this machine?",
        )
    sampling = Sampling.from_settings(settings)
    quality = settings.get("jpeg_quality", jpeg.QUALITY)
    with open(clips, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"] and int(row["shard"]) == shard]
    start, frames = time.monotonic(), 0
    with create(target, CONTENT, {"frames": dict(settings)}) as out:
        writer = FrameWriter(out, sampling.per_clip or 0)
        for row in rows:
            plan = plan_clip(root / row["path"], sampling)
            images = (jpeg.encode(frame.image, quality) for frame in iter_frames(plan))
            chosen = plan.frame_index, plan.time
            writer.append(row["clip_id"], plan.status, plan.detail, *chosen, images)
            frames += len(plan.frame_index)
            if plan.status != "ok":
                log.info("%s: %s: %s", row["path"], plan.status, plan.detail)
    pace = frames / max(time.monotonic() - start, 1e-9)
    log.info("%d frames of %d clips, %.1f frames/s", frames, len(rows), pace)
