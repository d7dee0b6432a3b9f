"""affectflow's three stages on shards of clips, through the files that its jobs write and read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from clips import as_shard
from looked import STAGES, Looked

from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import open_embedder
from affectflow.faces.detect import detect_in_videos, detect_shard
from affectflow.shards.embeddings import CONTENT as EMBEDDINGS
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import open_complete, texts
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
    threads : int
        CPU threads that feed a GPU.
    """

    def __init__(
        self,
        weights: Path,
        settings: Mapping[str, Any],
        backbone: str,
        device: str,
        precision: str,
        threads: int,
    ) -> None:
        self.settings, self.device, self.threads = settings, torch.device(device), threads
        self.embedder = open_embedder(backbone, weights, self.device, precision, threads)

    def find(self, videos: Sequence[Path], faces: Path) -> tuple[dict[str, float], int]:
        """Decode and detect a shard of videos; return seconds, and the faces found."""
        clips, root = as_shard(videos)
        times = [time.perf_counter()]
        if self.settings["frames"]["on_disk"]:
            frames = faces.with_suffix(".frames")
            extract_shard(clips, root, self.settings["frames"], frames)
            times.append(time.perf_counter())
            own = self.settings["faces"]
            detect_shard(frames, own, self.device, faces, threads=self.threads)
            frames.unlink()
        else:
            times.append(times[0])
            how = *self.settings.values(), self.device, faces
            detect_in_videos(clips, root, *how, threads=self.threads)
        times.append(time.perf_counter())
        with open_complete(faces, FACES) as file:
            count = int(file["mask"][:].sum())
        return dict(zip(STAGES, np.diff(times).tolist(), strict=False)), count

    def embed(self, faces: Sequence[Path], embeddings: Path) -> dict[str, float]:
        """Embed shards of faces; return seconds."""
        began = time.perf_counter()
        embed_shards(faces, self.embedder, embeddings)
        return {STAGES[-1]: time.perf_counter() - began}


def read(faces: Sequence[Path], embeddings: Path) -> Iterator[tuple[str, Looked]]:
    """Yield the clips of embedded shards: their names, and what was seen of each."""
    with open_complete(embeddings, EMBEDDINGS) as embedded:
        row = 0
        for path in faces:
            with open_complete(path, FACES) as file:
                for own, clip in enumerate(texts(file["clip_id"])):
                    yield clip, _clip(file, own, embedded["embedding"][row])
                    row += 1


def _clip(file: h5py.File, row: int, embedding: np.ndarray) -> Looked:
    there = file["frame_index"][row] >= 0  # a short clip has fewer than were asked for
    mask = file["mask"][row][there]
    boxes, landmarks = file["box"][row][there], file["landmarks"][row][there]
    embedding = embedding[: len(there)][there].astype(np.float32)
    embedding[~mask] = np.nan
    return Looked(
        [boxes[i : i + 1] if seen else boxes[:0] for i, seen in enumerate(mask)],
        [landmarks[i : i + 1] if seen else landmarks[:0] for i, seen in enumerate(mask)],
        embedding,
    )
