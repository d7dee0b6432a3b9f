"""Batches of sequences on the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from affectflow.training.data import SequenceData


class Feed:
    """Embeddings kept where they are quickest to reach, handed out by clip.

    An array in memory is indexed as it is, and moved to the GPU whole if it takes at most half of
    what is free there. An HDF5 dataset is read batch by batch.

    Parameters
    ----------
    data : SequenceData
    device : torch.device

    Attributes
    ----------
    batch : int
        Clips at a time where nothing is learnt.
    """

    batch = 256

    def __init__(self, data: SequenceData, device: torch.device) -> None:
        self.data, self.device = data, device
        self.mask = torch.from_numpy(data.mask).to(device)
        labels = torch.from_numpy(data.labels)
        # Not every device has float64.
        self.labels = (labels.float() if labels.is_floating_point() else labels).to(device)
        self.resident: Tensor | None = None
        if isinstance(data.embedding, np.ndarray) and _fits(data.embedding.nbytes, device):
            self.resident = torch.from_numpy(data.embedding).to(device)
            self.rows = torch.from_numpy(data.rows).to(device)
            self.frames = torch.from_numpy(data.frames).to(device)

    def __call__(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return embeddings (B, S, D) float32, mask (B, S) bool, labels (B, tasks).

        Labels are int64, or with a real-valued task float32: see `SequenceData.labels`.

        `clips` (B,) int64 are places in the data, on the CPU.
        """
        at = clips.to(self.device, non_blocking=True)
        if self.resident is None:
            embedding = torch.from_numpy(self.data.read(clips.numpy())).to(self.device)
        else:
            embedding = self.resident[self.rows[at][:, None], self.frames[at]]
        return embedding.float(), self.mask[at], self.labels[at]


def _fits(size: int, device: torch.device) -> bool:
    return device.type != "cuda" or size <= torch.cuda.mem_get_info(device)[0] // 2
