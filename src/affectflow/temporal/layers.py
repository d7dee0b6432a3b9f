"""Layers that several heads end in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from affectflow.temporal.keras import dense


def relu_layers(inputs: int, fc_units: Sequence[int]) -> nn.Sequential:
    """Return dense ReLU layers, (B, inputs) to (B, fc_units[-1]); without any, what comes in."""
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs, *fc_units]):
        layers += [dense(before, after), nn.ReLU()]
    return nn.Sequential(*layers)
