"""Training of a backbone together with its head, on face crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from affectflow.dataset.tasks import Task
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.crops import Untuned
from affectflow.training.data import SequenceData
from affectflow.training.experiment import Experiment
from affectflow.training.feed import Feed
from affectflow.training.learner import Learner
from affectflow.training.tuned_model import TunedModel

CROPS = 512
"""Crops in memory at once where nothing is learnt: 77 MB of 224 px."""


class Tuner(Learner):
    """A backbone and a head, trained on crops.

    Parameters
    ----------
    network : torch.nn.Module
        The backbone's network with its weights; models are made with a copy.
    backbone : str
        Its name.
    """

    def __init__(self, network: nn.Module, backbone: str) -> None:
        self.network, self.backbone = network, backbone

    def model(self, experiment: Experiment, dim: int, tasks: Sequence[Task]) -> SequenceModel:
        """Return the model: the backbone as it is, the head's weights drawn at random."""
        return TunedModel(
            self.network,
            self.backbone,
            str(experiment.fine_tune),
            experiment.head,
            experiment.settings,
            tasks,
            experiment.normalise,
            experiment.loss,
        )

    def parameters(self, model: SequenceModel, experiment: Experiment) -> list[dict[str, Any]]:
        """Return two groups, the head and what is trained of the backbone."""
        wanted = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        backbone = [p for name, p in wanted if name.startswith("backbone.")]
        head = [p for name, p in wanted if not name.startswith("backbone.")]
        return [
            {"params": head, "lr": experiment.learning_rate},
            {"params": backbone, "lr": experiment.backbone_learning_rate},
        ]

    def feed(self, data: SequenceData, device: torch.device) -> Feed:
        """Return batches of crops."""
        return CropFeed(data, device)


class CropFeed(Feed):
    """Face crops read from their shards, batch by batch.

    Parameters
    ----------
    data : SequenceData
        Whose embeddings are `Untuned`.
    device : torch.device
    """

    def __init__(self, data: SequenceData, device: torch.device) -> None:
        super().__init__(data, device)
        assert isinstance(data.embedding, Untuned)
        self.crops = data.embedding
        self.batch = max(1, CROPS // max(data.frames.shape[1], 1))

    def __call__(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return crops (n, size, size, 3) uint8, mask (B, S) bool, labels (B, tasks).

        The crops are those of the n unmasked frames, clip by clip.
        """
        places = clips.numpy()
        data, at = self.data, clips.to(self.device)
        pixels = self.crops.pixels(data.rows[places], data.frames[places], data.mask[places])
        return torch.from_numpy(pixels).to(self.device), self.mask[at], self.labels[at]
