"""What is trained, saved and used: a standardiser and a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from affectflow import registry
from affectflow.dataset.tasks import Task
from affectflow.temporal.settings import HEADS
from affectflow.temporal.standardise import Standardise


class SequenceModel(nn.Module):
    """Logits of each task from a clip's embeddings.

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

    Raises
    ------
    UserError
        If there is no such head.
    """

    def __init__(
        self,
        head: str,
        settings: Mapping[str, Any],
        dim: int,
        tasks: Sequence[Task],
        normalise: str,
    ) -> None:
        super().__init__()
        self.description = {
            "head": head,
            "settings": dict(settings),
            "dim": dim,
            "normalise": normalise,
        }
        self.tasks = tuple(tasks)
        self.standardise = Standardise(dim, normalise)
        self.head: nn.Module = registry.load(HEADS, head).build(dim, tasks, settings)

    def forward(self, embedding: Tensor, mask: Tensor) -> list[Tensor]:
        """Return logits (B, K_task) per task of embeddings (B, S, D) float32, mask (B, S) bool."""
        logits: list[Tensor] = self.head(self.standardise(embedding, mask), mask)
        return logits
