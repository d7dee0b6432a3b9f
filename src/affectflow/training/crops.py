"""Face crops as the input of training: read from their shards when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from affectflow.backbones.embedder import run, stack
from affectflow.backbones.spec import Backbone
from affectflow.errors import DamagedFileError
from affectflow.provenance.content import digest
from affectflow.shards.faces import FoundFaces, read_faces
from affectflow.shards.several import Shards
from affectflow.video import jpeg

BATCH = 32
"""Crops that go through the backbone at once."""


class Crops:
    """The crops of a study, a row per clip: the shards' rows one after the other.

    Of the shards only masks and names are kept in memory.

    Parameters
    ----------
    faces : sequence of FoundFaces
        What the shards hold. Clips of shards with fewer frames are filled up with masked ones.
    shards : Shards
        The same, for their crops.

    Attributes
    ----------
    mask : numpy.ndarray
        (rows, S_all) bool, whether a face was found.
    counts : numpy.ndarray
        (rows,) int64, how many frames each clip has.
    clip_id : list of str
        (rows,).
    """

    def __init__(self, faces: Sequence[FoundFaces], shards: Shards) -> None:
        masks, self.shards = [own.mask for own in faces], shards
        width = max(mask.shape[1] for mask in masks)
        self.mask = np.concatenate([np.pad(m, ((0, 0), (0, width - m.shape[1]))) for m in masks])
        self.counts = np.concatenate([own.counts for own in faces])
        self.clip_id = [name for own in faces for name in own.clip_id]
        self.start = np.cumsum([0, *(len(mask) for mask in masks)])

    def read(self, row: int, frame: int) -> np.ndarray:
        """Return one crop, (H, W, 3) uint8 RGB.

        Raises
        ------
        DamagedFileError
            If the shard holds no image there.
        UserError
            If the shard can't be read any more, or was replaced.
        """
        shard = int(np.searchsorted(self.start, row, side="right")) - 1
        file = self.shards.read(shard, "crop", (int(row - self.start[shard]), frame))
        try:
            return jpeg.decode(file)
        except ValueError as error:
            raise DamagedFileError(
                self.shards.paths[shard],
                f"has a face of clip {self.clip_id[row]} in frame {frame}, and no crop of it "
                f"({error})",
            ) from error

    def pixels(
        self, rows: np.ndarray, frames: np.ndarray, mask: np.ndarray, size: int
    ) -> np.ndarray:
        """Return the unmasked crops of some clips, clip by clip, in the order of their frames.

        Parameters
        ----------
        rows, frames : numpy.ndarray
            (n,) int64 clips, (n, S) int64 places of their frames.
        mask : numpy.ndarray
            (n, S) bool: crops that are not wanted are not read.
        size : int
            Sides of the crops that are returned, in pixels.

        Returns
        -------
        numpy.ndarray
            (mask.sum(), size, size, 3) uint8 RGB.
        """
        wanted = [self.read(int(rows[i]), int(frames[i, j])) for i, j in np.argwhere(mask)]
        return stack(wanted, size) if wanted else np.zeros((0, size, size, 3), np.uint8)


@contextmanager
def open_crops(shards: Sequence[Path]) -> Iterator[tuple[Crops, list[str]]]:
    """Read shards of faces, each after a check that no byte of it has changed.

    Yields
    ------
    crops : Crops
    seals : list of str
        The shards' SHA-256.

    Raises
    ------
    UserError
        If a shard is missing, damaged, or no shard of faces.
    """
    faces = [read_faces(path) for path in shards]
    seals = [own.seal for own in faces]
    with Shards(shards, seals) as opened:
        yield Crops(faces, opened), seals


class Untuned:
    """The embeddings that a backbone gives before it is tuned, as a source for `SequenceData`.

    Nothing is kept: each reading of a clip decodes its crops and runs the network.

    Parameters
    ----------
    crops : Crops
    spec : Backbone
    network : torch.nn.Module
        With its weights, in evaluation mode, on `device`. It must stay as it is.
    device : torch.device
    decided_by : sequence of str
        What decides crops and weights: SHA-256 digests.
    """

    def __init__(
        self,
        crops: Crops,
        spec: Backbone,
        network: nn.Module,
        device: torch.device,
        decided_by: Sequence[str],
    ) -> None:
        self.crops, self.spec, self.device = crops, spec, device
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.shape = (*crops.mask.shape, spec.dim)
        self.identity = digest([*decided_by])

    def pixels(self, rows: np.ndarray, frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the unmasked crops (mask.sum(), size, size, 3) uint8, see `Crops.pixels`."""
        return self.crops.pixels(rows, frames, mask, self.spec.size)

    @torch.inference_mode()
    def embed(self, rows: np.ndarray, frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return embeddings (n, S, D) float32, zeros where the mask (n, S) is False."""
        embedding = np.zeros((*mask.shape, self.spec.dim), np.float32)
        places = np.argwhere(mask)
        for start in range(0, len(places), BATCH):
            clip, frame = places[start : start + BATCH].T
            wanted = np.zeros_like(mask)
            wanted[clip, frame] = True
            pixels = torch.from_numpy(self.pixels(rows, frames, wanted)).to(self.device)
            embedding[clip, frame] = run(self.spec, self.network, pixels).cpu().numpy()
        return embedding
