"""Bidirectional LSTM (Graves and Schmidhuber 2005): each clip is read from both its ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from affectflow.temporal.frames import last_valid, valid_first
from affectflow.temporal.keras import lstm
from affectflow.temporal.layers import relu_layers

SETTINGS = {
    "lstm_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "default": [64, 64],
    },
    "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.3},
    "fc_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "default": [64],
    },
}


class BiLSTMHead(nn.Module):
    """Bidirectional LSTM layers with dropout between, both last states joined, and ReLU layers.

    ``lstm_units`` are those of each direction. Cells and initial values are the `lstm` head's.
    """

    def __init__(
        self, dim: int, lstm_units: Sequence[int], dropout: float, fc_units: Sequence[int]
    ) -> None:
        super().__init__()
        inputs = [dim, *(2 * units for units in lstm_units[:-1])]
        self.ahead = nn.ModuleList(map(lstm, inputs, lstm_units))
        self.back = nn.ModuleList(map(lstm, inputs, lstm_units))
        self.dropout = nn.Dropout(dropout)
        self.fc = relu_layers(2 * lstm_units[-1], fc_units)
        self.width = [2 * lstm_units[-1], *fc_units][-1]

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, width) of embeddings (B, S, D) float32, mask (B, S) bool.

        One direction ends at the clip's last unmasked frame, the other begins there. A clip
        without an unmasked frame leaves both in their first state, zero.
        """
        frames, length = valid_first(embedding, mask)
        ahead, back = self.read(0, frames, length)
        for place in range(1, len(self.ahead)):
            frames = self.dropout(torch.cat([ahead, turn_round(back, length)], dim=2))
            ahead, back = self.read(place, frames, length)
        ends = torch.cat([last_valid(ahead, length), last_valid(back, length)], dim=1)
        features: Tensor = self.fc(ends)
        return features

    def read(self, place: int, frames: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Return one layer's states in both directions, (B, S, units) each, in reading order."""
        ahead, _ = self.ahead[place](frames)
        back, _ = self.back[place](turn_round(frames, length))
        return ahead, back


def turn_round(frames: Tensor, length: Tensor) -> Tensor:
    """Reverse the first `length` (B,) frames of each clip (B, S, D).

    Whatever follows them comes after all that counts in both directions, and is never read.
    """
    place = torch.arange(frames.shape[1], device=length.device)
    order = (length[:, None] - 1 - place).clamp(min=0)
    clip = torch.arange(len(length), device=length.device)[:, None]
    return frames[clip, order]


def build(dim: int, settings: Mapping[str, Any]) -> BiLSTMHead:
    """Return the head for embeddings of `dim` numbers."""
    return BiLSTMHead(dim, **settings)
