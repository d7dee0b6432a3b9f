"""What is trained, saved and used: a standardiser, a head, and a layer per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from affectflow import registry
from affectflow.dataset.tasks import Task
from affectflow.temporal.objective import Objective
from affectflow.temporal.settings import HEADS
from affectflow.temporal.standardise import Standardise


class SequenceModel(nn.Module):
    """Scores of each task from a clip's embeddings.

    Parameters
    ----------
    head : str
        A file of ``temporal/heads``.
    settings : mapping
        Every key of the head's `SETTINGS`.
    dim : int
        Numbers in an embedding.
    tasks : sequence of Task
    normalise : {"dataset", "clip", "none"}
        See `Standardise`.
    loss : str
        A file of ``temporal/losses``: it decides the last layers, and what their scores mean.

    Raises
    ------
    UserError
        If there is no such head or loss.
    """

    def __init__(
        self,
        head: str,
        settings: Mapping[str, Any],
        dim: int,
        tasks: Sequence[Task],
        normalise: str = "dataset",
        loss: str = "cross_entropy",
    ) -> None:
        super().__init__()
        self.description = {
            "head": head,
            "settings": dict(settings),
            "dim": dim,
            "normalise": normalise,
            "loss": loss,
        }
        self.tasks = tuple(tasks)
        self.objective = Objective(loss, tasks)
        self.standardise = Standardise(dim, normalise)
        self.head: nn.Module = registry.load(HEADS, head).build(dim, settings)
        self.y = self.objective.layers(int(self.head.width))

    def embed(self, given: Tensor, mask: Tensor) -> Tensor:
        """Return the embeddings (B, S, D) float32 of a batch's input: here it is what they are."""
        return given

    def forward(self, embedding: Tensor, mask: Tensor) -> list[Tensor]:
        """Return each task's scores of embeddings (B, S, D) float32, mask (B, S) bool."""
        features = self.head(self.standardise(embedding, mask), mask)
        return [layer(features) for layer in self.y]

    def probabilities(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Return level probabilities (B, K_task) float32 per task of what `forward` returned."""
        return self.objective.probabilities(scores)
