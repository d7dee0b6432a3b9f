"""What a model is trained for: a loss per task, summed (dissertation, section 4.2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from affectflow import registry
from affectflow.dataset.tasks import Task
from affectflow.temporal import regression
from affectflow.temporal.settings import LOSSES

MISSING = -1


class Objective:
    """The losses of some tasks.

    A task without an order takes cross-entropy where the loss needs one; a real-valued one squared
    error (`affectflow.temporal.regression`).

    Parameters
    ----------
    loss : str
        A file of ``temporal/losses``.
    tasks : sequence of Task

    Raises
    ------
    UserError
        If there is no such loss.
    """

    def __init__(self, loss: str, tasks: Sequence[Task]) -> None:
        chosen = registry.load(LOSSES, loss)
        plain = registry.load(LOSSES, "cross_entropy")
        self.tasks = tuple(tasks)
        self.losses = [
            regression
            if task.kind == "real"
            else plain
            if chosen.ORDERED and task.kind != "ordinal"
            else chosen
            for task in tasks
        ]
        self.chosen = chosen
        self.numbers: dict[int, regression.Number] = {}

    def layers(self, inputs: int) -> nn.ModuleList:
        """Return a layer per task from features (B, inputs) to its scores."""
        made = nn.ModuleList(
            loss.layer(inputs, len(task.levels))
            for loss, task in zip(self.losses, self.tasks, strict=True)
        )
        self.numbers = {
            place: layer for place, layer in enumerate(made) if isinstance(layer, regression.Number)
        }
        return made

    def measure(self, labels: Tensor) -> None:
        """Take the unit of real-valued tasks from the training labels, (n, tasks)."""
        for place, layer in self.numbers.items():
            layer.measure(labels[:, place])

    def __call__(
        self,
        scores: Sequence[Tensor],
        levels: Tensor,
        weights: Sequence[Tensor] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Return the sum over tasks of the (weighted) mean loss of the clips labelled for it.

        Parameters
        ----------
        scores : sequence of torch.Tensor
            (B, ...) float32 for each task.
        levels : torch.Tensor
            (B, tasks) int64 level codes, -1 where a clip has no label. A task that labels no clip
            of the batch adds nothing. With a real-valued task: floats, NaN for no label.
        weights : sequence of torch.Tensor or None
            (K_task,) float32 for each task: how much a clip of each level counts; None for 1.
        settings : mapping or None
            The loss's own settings; None for its defaults.

        Returns
        -------
        torch.Tensor
            () float32.
        """
        total = scores[0].new_zeros(())
        for place, (loss, own) in enumerate(zip(self.losses, scores, strict=True)):
            truth, known = levels[:, place], levels[:, place] != MISSING
            if levels.is_floating_point():
                known = ~truth.isnan()
                truth = truth.nan_to_num()
            weight = known.to(own.dtype)
            if place in self.numbers:
                unit = self.numbers[place].deviation.to(own.device)
                value, count = loss.terms(own, truth.to(own.dtype))
                value = value / unit**2
            else:
                level = truth.clamp(min=0).long()
                value, count = loss.terms(own, level, **self._settings(loss, settings))
                if weights is not None:
                    weight = weight * weights[place][level]
            counted = (count * weight).sum()
            # Where nothing counts, the sum is zero too.
            total = total + (value * weight).sum() / torch.where(counted > 0, counted, 1.0)
        return total

    def probabilities(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Return each task's level probabilities, (B, K_task), or its numbers (B, 1)."""
        return [
            loss.probabilities(own).float() for loss, own in zip(self.losses, scores, strict=True)
        ]

    def decisions(self) -> list[str]:
        """Return for each task how its loss's paper takes a level from probabilities."""
        return [loss.DECISION for loss in self.losses]

    def _settings(self, loss: Any, settings: Mapping[str, Any] | None) -> dict[str, Any]:
        # A task without an order has a loss of its own, with that loss's defaults.
        return dict(settings or {}) if loss is self.chosen else {}
