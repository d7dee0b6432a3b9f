"""A backbone on a device, in a precision: from crops to numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from affectflow.ahead import ahead
from affectflow.backbones.precision import choose, in_dtype, quickened
from affectflow.backbones.spec import Backbone
from affectflow.backbones.weights import backbone, load
from affectflow.busy import Busy
from affectflow.devices import full_float32, stacked
from affectflow.provenance.content import sha256
from affectflow.video import jpeg

Item = TypeVar("Item")

BATCH = {"cpu": 16, "cuda": 256}
"""Crops that go through the network at once, by kind of device."""

INT8_BATCH = 64
"""The same in int8: its numbers are small, so that more of them fit a CPU's cache."""

LEAST_BATCH = 16
"""Crops from which on a CPU gives each the same numbers whatever their number is."""


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
    batch : int or None
        Crops that go through the network at once; None for as many as suit the device.

    Attributes
    ----------
    busy : affectflow.busy.Busy
        How long the device worked.
    """

    def __init__(
        self,
        backbone: Backbone,
        network: nn.Module,
        device: torch.device,
        precision: str = "fp32",
        threads: int = 1,
        said: Mapping[str, str] | None = None,
        batch: int | None = None,
    ) -> None:
        full_float32()
        self.backbone = backbone
        self.network = quickened(backbone, network, precision)
        self.device, self.precision = device, precision
        self.busy = Busy(device)
        self.said = dict(said or {}) | {"precision": precision}
        self.cuda = device.type == "cuda"
        self.threads = threads if self.cuda else 0
        usual = INT8_BATCH if precision == "int8" else BATCH.get(device.type, BATCH["cpu"])
        self.batch = batch or usual
        # A GPU's sums are in another order for another number of crops.
        self.least = self.batch if self.cuda else LEAST_BATCH
        # Asked about few crops: a whole batch in fp32 may be what a GPU has no room for.
        self.exact = (
            None if precision == "fp32" else Embedder(backbone, network, device, batch=LEAST_BATCH)
        )

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
        waiting: deque[Callable[[], np.ndarray]] = deque()
        while batch := [*islice(images, self.batch)]:
            filled = batch + batch[-1:] * (self.least - len(batch))
            # A GPU is given the next batch before the last one's embeddings are waited for.
            waiting.append(self._begin(filled, len(batch)))
            if len(waiting) > self.cuda:
                yield from waiting.popleft()()
        for finish in waiting:
            yield from finish()

    @torch.inference_mode()
    def _begin(self, pixels: Sequence[np.ndarray], wanted: int) -> Callable[[], np.ndarray]:
        """Give the device a batch; return what waits for the embeddings wanted of it."""
        batch = stacked(pixels, self.device)
        with self.busy:
            batch = batch.to(self.device, non_blocking=self.cuda)
            found = run(self.backbone, self.network, batch, self.precision)[:wanted]
            # Copied now: asked for later, they would queue behind the next batch.
            found = found.to("cpu", non_blocking=self.cuda)
        copied = torch.cuda.current_stream(self.device).record_event() if self.cuda else None

        def finish() -> np.ndarray:
            if copied:
                copied.synchronize()
            return found.numpy()

        return finish


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
