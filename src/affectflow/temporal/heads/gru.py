"""Gated recurrent units (Cho et al. 2014, section 2.3), as Keras computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from affectflow.temporal.frames import last_valid, valid_first
from affectflow.temporal.layers import relu_layers

SETTINGS = {
    "gru_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "default": [128, 128],
    },
    "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.3},
    "fc_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "default": [64],
    },
}


class GRUHead(nn.Module):
    """GRU layers with dropout between, the last state, and ReLU layers."""

    def __init__(
        self, dim: int, gru_units: Sequence[int], dropout: float, fc_units: Sequence[int]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            gru(inputs, units) for inputs, units in pairwise([dim, *gru_units])
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = relu_layers(gru_units[-1], fc_units)
        self.width = [*gru_units, *fc_units][-1]

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, width) of embeddings (B, S, D) float32, mask (B, S) bool.

        A masked frame carries the state over; a clip without an unmasked frame leaves the last
        layer in its first state, zero.
        """
        states, length = valid_first(embedding, mask)
        for place, layer in enumerate(self.layers):
            states, _ = layer(states if place == 0 else self.dropout(states))
        features: Tensor = self.fc(last_valid(states, length))
        return features


def gru(inputs: int, units: int) -> nn.GRU:
    """Return a GRU layer with the parameters and initial values of ``keras.layers.GRU(units)``.

    ``3 (inputs units + units^2 + 2 units)`` of them: Keras' default (``reset_after``) and torch
    both reset the state after the recurrent weights, and so have two biases per gate. Input
    weights Glorot uniform, recurrent weights orthogonal, each over the whole matrix; biases 0.
    """
    layer = nn.GRU(inputs, units, batch_first=True)
    weight, recurrent, bias, second_bias = layer.all_weights[0]
    nn.init.xavier_uniform_(weight)
    nn.init.orthogonal_(recurrent)
    nn.init.zeros_(bias)
    nn.init.zeros_(second_bias)
    return layer


def build(dim: int, settings: Mapping[str, Any]) -> GRUHead:
    """Return the head for embeddings of `dim` numbers."""
    return GRUHead(dim, **settings)
