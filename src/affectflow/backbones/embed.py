"""From face crops to embeddings."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import cv2
import h5py
import numpy as np
import torch
from torch import Tensor, nn

from affectflow.ahead import ahead
from affectflow.backbones.precision import choose, cosines, in_dtype, quickened
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

Item = TypeVar("Item")

BATCH = {"cpu": 32, "cuda": 256}
"""Crops that go through the network at once, by kind of device."""

LEAST_BATCH = 16

READ = 64
"""Frames whose crops are read at a time."""

SAMPLE = 16
"""Crops on which another precision is compared with fp32."""

LEAST, LEAST_OF_MOST = 0.98, 0.95
"""What their median cosine, and its 5th percentile, have to reach."""

HALF = float(np.finfo(np.float16).max)


class Embedder:
    """A backbone on a device.

    Parameters
    ----------
    backbone : Backbone
    network : torch.nn.Module
        With its weights, on `device`. It is left as it is.
    device : torch.device
    precision : str
        Of `affectflow.backbones.precision.choose`.
    threads : int
        CPU threads that make crops ready while a GPU computes.
    said : mapping
        Which backbone and weights these are: attributes of what is embedded.
    """

    def __init__(
        self,
        backbone: Backbone,
        network: nn.Module,
        device: torch.device,
        precision: str = "fp32",
        threads: int = 1,
        said: Mapping[str, str] | None = None,
    ) -> None:
        self.backbone = backbone
        self.network = quickened(backbone, network, precision)
        self.device, self.precision = device, precision
        self.said = dict(said or {}) | {"precision": precision}
        self.threads = threads if device.type == "cuda" else 0
        self.batch = BATCH.get(device.type, BATCH["cpu"])
        self.exact = None if precision == "fp32" else Embedder(backbone, network, device)

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Embed crops.

        Parameters
        ----------
        crops : sequence of numpy.ndarray
            n arrays (H, W, 3) uint8 RGB.

        Returns
        -------
        numpy.ndarray
            (n, D) float32.
        """
        found = [*self._each(crops, lambda crop: _fit(crop, self.backbone.size))]
        return np.array(found, np.float32).reshape(-1, self.backbone.dim)

    def embed_files(self, files: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the embedding (D,) float32 of each crop that is a JPEG file, (n,) uint8.

        Files are read a few batches further than embeddings are taken.
        """
        return self._each(files, lambda file: _fit(jpeg.decode(file), self.backbone.size))

    def _each(
        self, items: Iterable[Item], pixels: Callable[[Item], np.ndarray]
    ) -> Iterator[np.ndarray]:
        images = ahead(pixels, items, self.threads, 2 * self.batch)
        waiting: deque[Tensor] = deque()
        while batch := [*islice(images, self.batch)]:
            # So that an embedding hangs on its crop alone: few images are summed in another order.
            filled = batch + batch[-1:] * (LEAST_BATCH - len(batch))
            # A GPU is given the next batch before the last one's embeddings are waited for.
            waiting.append(self._run(np.stack(filled))[: len(batch)])
            if len(waiting) > (self.device.type == "cuda"):
                yield from waiting.popleft().cpu().numpy()
        for rest in waiting:
            yield from rest.cpu().numpy()

    @torch.inference_mode()
    def _run(self, pixels: np.ndarray) -> Tensor:
        batch = torch.from_numpy(pixels)
        if self.device.type == "cuda":
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        return run(self.backbone, self.network, batch.to(self.device), self.precision)


def stack(crops: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return crops (H, W, 3) uint8 RGB of any size as one array (n, size, size, 3) uint8."""
    return np.stack([_fit(crop, size) for crop in crops])


def run(backbone: Backbone, network: nn.Module, pixels: Tensor, precision: str = "fp32") -> Tensor:
    """Return the embeddings (n, D) float32 of stacked crops (n, size, size, 3) uint8.

    The network is the backbone's, on the crops' device, and computes in that precision.
    """
    batch = pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
    return network(in_dtype(precision, backbone.preprocess(batch))).float()


def _fit(crop: np.ndarray, size: int) -> np.ndarray:
    if crop.shape[:2] == (size, size):
        return crop
    # As facenet-pytorch shrinks its crops.
    return cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)


def open_embedder(
    name: str, weights: Path, device: torch.device, precision: str = "auto", threads: int = 1
) -> Embedder:
    """Load a backbone.

    Parameters
    ----------
    name : str
        The backbone.
    weights : Path
        Its weights, as `affectflow.backbones.weights.prepare` wrote them.
    device : torch.device
    precision : str
        ``precision`` of the backbone in the config.
    threads : int
        CPU threads that make crops ready for a GPU.

    Raises
    ------
    UserError
        If the device is not made for that precision.
    """
    precision = choose(precision, device)
    said = {"backbone": name, "weights": sha256(weights)}
    network = load(name, weights, device)
    return Embedder(backbone(name), network, device, precision, threads, said)


def embed_shards(faces: Sequence[Path], embedder: Embedder, target: Path, code: str = "") -> None:
    """Embed the crops of shards of faces, one after the other.

    Other precisions than fp32 are compared with it on some crops of these shards.

    Parameters
    ----------
    faces : sequence of Path
        Shards of faces (`affectflow.shards.faces`), at least one.
    embedder : Embedder
        Of `open_embedder`.
    target : Path
        The shard of embeddings to write (`affectflow.shards.embeddings`).
    code : str
        Digest of the code that does this, kept in the file's attributes.

    Raises
    ------
    UserError
        If a shard of faces is not whole, an embedding does not fit float16, or too many differ
        from fp32's.
    """
    name, dim = embedder.said["backbone"], embedder.backbone.dim
    began, frames = time.monotonic(), 0
    with ExitStack() as stack:
        sources = [stack.enter_context(open_complete(path, FACES)) for path in faces]
        made_by: dict[str, Any] = {
            **embedder.said,
            "faces": [sealed_sha256(path) for path in faces],
            "code": code,
        }
        if embedder.exact:
            made_by["cosine_to_fp32"] = _compare(embedder, embedder.exact, [*_sample(sources)])
        out = stack.enter_context(create(target, EMBEDDINGS, made_by))
        width = max(source["mask"].shape[1] for source in sources)
        rows = embedding_rows(out, width, dim)
        embedded = embedder.embed_files(chain.from_iterable(map(_files, sources)))
        for source in sources:
            for clip_id, mask in zip(texts(source["clip_id"]), source["mask"][:], strict=True):
                embedding = np.zeros((len(mask), dim), np.float32)
                for place in np.flatnonzero(mask):
                    embedding[place] = next(embedded)
                if not np.abs(embedding).max(initial=0) <= HALF:
                    raise UserError(
                        f"{name}: an embedding of clip {clip_id} is beyond float16's {HALF:.0f}",
                        f"Check backbones.{name}.weights: trained weights give small numbers.",
                    )
                rows.append({"clip_id": clip_id}, {"embedding": embedding, "mask": mask})
                frames += int(mask.sum())
    log.info(frames_line(frames, time.monotonic() - began, str(embedder.device)))


def _files(source: h5py.File) -> Iterator[np.ndarray]:
    """Yield the crops of a shard, as JPEG files."""
    for row in range(len(source["mask"])):
        mask = source["mask"][row]
        for start in range(0, len(mask), READ):
            part = slice(start, start + READ)
            if mask[part].any():
                yield from source["crop"][row, part][mask[part]]


def _sample(sources: Sequence[h5py.File]) -> Iterator[np.ndarray]:
    """Yield crops from all over the shards, as JPEG files."""
    places = np.concatenate(
        [
            np.column_stack(
                [np.full(int(source["mask"][:].sum()), which), *source["mask"][:].nonzero()]
            )
            for which, source in enumerate(sources)
        ]
    )
    chosen = np.linspace(0, len(places) - 1, min(SAMPLE, len(places))).astype(int)
    for which, row, frame in places[chosen]:
        yield sources[which]["crop"][row, frame]


def _compare(embedder: Embedder, exact: Embedder, sample: list[np.ndarray]) -> list[float]:
    """Return the 5th percentile and the median of the cosine to fp32, and log them."""
    if not sample:
        return []
    found, wanted = (np.array([*each.embed_files(sample)]) for each in (embedder, exact))
    low, median = np.percentile(cosines(found, wanted), (5, 50)).tolist()
    what = f"{embedder.precision} of {len(sample)} crops"
    log.info("%s: cosine to fp32 %.5f (5th percentile %.5f)", what, median, low)
    if not (low >= LEAST_OF_MOST and median >= LEAST):
        raise UserError(
            f"{embedder.said['backbone']}: {what}: the embeddings are not those of fp32: cosine "
            f"{median:.3f}, 5th percentile {low:.3f}; {LEAST} and {LEAST_OF_MOST} are needed",
            f"Set backbones.{embedder.said['backbone']}.precision: fp32.",
        )
    return [low, median]
