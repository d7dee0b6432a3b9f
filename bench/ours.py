"""affectflow's three stages on a shard of clips, through the files that its jobs write and read."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from looked import STAGES, Looked

from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import open_embedder
from affectflow.faces.detect import detect_in_videos, detect_shard
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
        The config's `frames` and `faces`. Without `on_disk`, decoding is part of detection.
    backbone, device, precision : str
    """

    def __init__(
        self,
        weights: Path,
        settings: Mapping[str, Any],
        backbone: str,
        device: str,
        precision: str,
    ) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.embedder = open_embedder(backbone, weights, self.device, precision)

    def look(self, videos: Sequence[Path]) -> tuple[list[Looked], dict[str, float]]:
        """Decode, detect and embed a shard of videos; return what was seen, and seconds."""
        with tempfile.TemporaryDirectory() as top:
            names = "frames.h5", "faces.h5", "embeddings.h5"
            frames, faces, embeddings = (Path(top) / name for name in names)
            root = Path(os.path.commonpath(videos))
            root = root if root.is_dir() else root.parent
            clips = [(video.stem, str(video.relative_to(root))) for video in videos]
            times = [time.perf_counter()]
            if self.settings["frames"]["on_disk"]:
                extract_shard(clips, root, self.settings["frames"], frames)
                times.append(time.perf_counter())
                detect_shard(frames, self.settings["faces"], self.device, faces)
            else:
                times.append(times[0])
                detect_in_videos(clips, root, *self.settings.values(), self.device, faces)
            times.append(time.perf_counter())
            embed_shards([faces], self.embedder, embeddings)
            times.append(time.perf_counter())
            seconds = dict(zip(STAGES, np.diff(times).tolist(), strict=True))
            return _read(faces, embeddings), seconds


def _read(faces: Path, embeddings: Path) -> list[Looked]:
    with open_complete(faces, FACES) as file, open_complete(embeddings, EMBEDDINGS) as embedded:
        return [_clip(file, embedded, row) for row in range(len(file["mask"]))]


def _clip(file: h5py.File, embedded: h5py.File, row: int) -> Looked:
    there = file["frame_index"][row] >= 0  # a short clip has fewer than were asked for
    mask = file["mask"][row][there]
    boxes, landmarks = file["box"][row][there], file["landmarks"][row][there]
    embedding = embedded["embedding"][row][there].astype(np.float32)
    embedding[~mask] = np.nan
    return Looked(
        [boxes[i : i + 1] if seen else boxes[:0] for i, seen in enumerate(mask)],
        [landmarks[i : i + 1] if seen else landmarks[:0] for i, seen in enumerate(mask)],
        embedding,
    )
