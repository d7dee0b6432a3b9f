"""affectflow's three stages on one clip, through the files that its jobs write and read."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from looked import Looked

from affectflow.backbones.embed import embed_shards
from affectflow.faces.detect import detect_shard
from affectflow.shards.embeddings import CONTENT as EMBEDDINGS
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import open_complete
from affectflow.video.extract import extract_shard


class Ours:
    """extract_frames, detect_faces and embed.

    Parameters
    ----------
    weights : Path
        Of the backbone, as `affectflow.backbones.weights.prepare` wrote them.
    settings : mapping
        The config's `frames` and `faces`.
    backbone, device : str
    """

    def __init__(
        self, weights: Path, settings: Mapping[str, Any], backbone: str, device: str
    ) -> None:
        self.weights, self.settings = weights, settings
        self.backbone, self.device = backbone, torch.device(device)

    def look(self, video: Path) -> Looked:
        """Decode, detect and embed a video; each stage is a job's call."""
        with tempfile.TemporaryDirectory() as top:
            names = "frames.h5", "faces.h5", "embeddings.h5"
            frames, faces, embeddings = (Path(top) / name for name in names)
            clips = [(video.name, video.name)]
            times = [time.perf_counter()]
            extract_shard(clips, video.parent, self.settings["frames"], frames)
            times.append(time.perf_counter())
            detect_shard(frames, self.settings["faces"], self.device, faces)
            times.append(time.perf_counter())
            embed_shards([faces], self.backbone, self.weights, self.device, embeddings)
            times.append(time.perf_counter())
            decode, detect, embed = np.diff(times).tolist()
            seconds = {"decode": decode, "detect": detect, "embed": embed}
            return _read(faces, embeddings, seconds)


def _read(faces: Path, embeddings: Path, seconds: dict[str, float]) -> Looked:
    with open_complete(faces, FACES) as file, open_complete(embeddings, EMBEDDINGS) as embedded:
        there = file["frame_index"][0] >= 0  # a short clip has fewer than were asked for
        mask = file["mask"][0][there]
        boxes, landmarks = file["box"][0][there], file["landmarks"][0][there]
        embedding = embedded["embedding"][0][there].astype(np.float32)
    embedding[~mask] = np.nan
    return Looked(
        seconds,
        [boxes[i : i + 1] if seen else boxes[:0] for i, seen in enumerate(mask)],
        [landmarks[i : i + 1] if seen else landmarks[:0] for i, seen in enumerate(mask)],
        embedding,
    )
