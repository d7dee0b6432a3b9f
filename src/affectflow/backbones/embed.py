"""From face crops to embeddings."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import h5py
import numpy as np
import torch
from torch import Tensor, nn

from affectflow.backbones.spec import Backbone
from affectflow.backbones.weights import backbone, load
from affectflow.errors import UserError
from affectflow.joblog import frames_line
from affectflow.provenance.content import sha256
from affectflow.shards.embeddings import CONTENT as EMBEDDINGS
from affectflow.shards.embeddings import embedding_rows
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import create, open_complete, sealed_sha256, texts
from affectflow.video import jpeg

log = logging.getLogger(__name__)

BATCH = 32
HALF = float(np.finfo(np.float16).max)


class Embedder:
    """A backbone on a device.

    Parameters
    ----------
    backbone : Backbone
    network : torch.nn.Module
        With its weights, on `device`.
    device : torch.device
    """

    def __init__(self, backbone: Backbone, network: nn.Module, device: torch.device) -> None:
        self.backbone = backbone
        # Convolutions are faster in this memory order, on CPUs and on GPUs with tensor cores.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = device

    @torch.inference_mode()
    def embed(self, crops: list[np.ndarray]) -> np.ndarray:
        """Embed crops.

        Parameters
        ----------
        crops : list of numpy.ndarray
            n arrays (H, W, 3) uint8 RGB.

        Returns
        -------
        numpy.ndarray
            (n, D) float32.
        """
        parts = [np.zeros((0, self.backbone.dim), np.float32)]
        for start in range(0, len(crops), BATCH):
            pixels = stack(crops[start : start + BATCH], self.backbone.size)
            batch = torch.from_numpy(pixels).to(self.device)
            parts.append(run(self.backbone, self.network, batch).cpu().numpy())
        return np.concatenate(parts)


def stack(crops: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return crops (H, W, 3) uint8 RGB of any size as one array (n, size, size, 3) uint8."""
    return np.stack([_fit(crop, size) for crop in crops])


def run(backbone: Backbone, network: nn.Module, pixels: Tensor) -> Tensor:
    """Return the embeddings (n, D) float32 of stacked crops (n, size, size, 3) uint8.

    The network is the backbone's, on the crops' device, in the memory order that `Embedder` chose.
    """
    batch = pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
    return network(backbone.preprocess(batch)).float()


def _fit(crop: np.ndarray, size: int) -> np.ndarray:
    if crop.shape[:2] == (size, size):
        return crop
    # As facenet-pytorch shrinks its crops.
    return cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)


def embed_shards(
    faces: Sequence[Path],
    name: str,
    weights: Path,
    device: torch.device,
    target: Path,
    code: str = "",
) -> None:
    """Embed the crops of shards of faces, one after the other.

    Parameters
    ----------
    faces : sequence of Path
        Shards of faces (`affectflow.shards.faces`), at least one.
    name : str
        The backbone.
    weights : Path
        Its weights, as `affectflow.backbones.weights.prepare` wrote them.
    device : torch.device
    target : Path
        The shard of embeddings to write (`affectflow.shards.embeddings`).
    code : str
        Digest of the code that does this, kept in the file's attributes.

    Raises
    ------
    UserError
        If a shard of faces is not whole, or an embedding does not fit float16.
    """
    embedder = Embedder(backbone(name), load(name, weights, device), device)
    began, frames = time.monotonic(), 0
    with ExitStack() as stack:
        sources = [stack.enter_context(open_complete(path, FACES)) for path in faces]
        made_by = {
            "backbone": name,
            "weights": sha256(weights),
            "faces": [sealed_sha256(path) for path in faces],
            "code": code,
        }
        out = stack.enter_context(create(target, EMBEDDINGS, made_by))
        width = max(source["mask"].shape[1] for source in sources)
        rows = embedding_rows(out, width, embedder.backbone.dim)
        for source in sources:
            mask = source["mask"]
            for row, clip_id in enumerate(texts(source["clip_id"])):
                embedding = _embed_clip(embedder, source["crop"], row, mask[row])
                if np.abs(embedding).max(initial=0) > HALF:
                    raise UserError(
                        f"{name}: an embedding of clip {clip_id} is beyond float16's {HALF:.0f}",
                        f"Check backbones.{name}.weights: trained weights give small numbers.",
                    )
                rows.append({"clip_id": clip_id}, {"embedding": embedding, "mask": mask[row]})
                frames += int(mask[row].sum())
    log.info(frames_line(frames, time.monotonic() - began, str(device)))


def _embed_clip(embedder: Embedder, crops: h5py.Dataset, row: int, mask: np.ndarray) -> np.ndarray:
    """Return a clip's (frames, D) embeddings, zeros where there is no face."""
    embedding = np.zeros((len(mask), embedder.backbone.dim), np.float32)
    seen = np.flatnonzero(mask)
    for start in range(0, len(seen), BATCH):
        part = seen[start : start + BATCH]
        embedding[part] = embedder.embed([jpeg.decode(crops[row, i]) for i in part])
    return embedding
