"""What a training is made of, for the loop in `fit`: a model, its parameters, its batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from affectflow.dataset.tasks import Task
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.data import SequenceData
from affectflow.training.experiment import Experiment
from affectflow.training.feed import Feed


class Learner:
    """A head, trained on embeddings. Another kind of training is a subclass."""

    def model(self, experiment: Experiment, dim: int, tasks: Sequence[Task]) -> SequenceModel:
        """Return the model, its weights drawn from torch's generator, on the CPU."""
        return SequenceModel(
            experiment.head,
            experiment.settings,
            dim,
            tasks,
            experiment.normalise,
            experiment.loss,
        )

    def parameters(self, model: SequenceModel, experiment: Experiment) -> list[dict[str, Any]]:
        """Return what is trained, in groups as torch's optimisers take them."""
        wanted = [p for p in model.parameters() if p.requires_grad]
        return [{"params": wanted, "lr": experiment.learning_rate}]

    def feed(self, data: SequenceData, device: torch.device) -> Feed:
        """Return the batches of clips."""
        return Feed(data, device)
