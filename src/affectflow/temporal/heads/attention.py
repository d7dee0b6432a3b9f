"""Gated attention over frames (Ilse, Tomczak and Welling 2018, section 2.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from affectflow.temporal.layers import relu_layers

SETTINGS = {
    "attention_units": {"type": "integer", "minimum": 1, "default": 128},
    "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.3},
    "fc_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "default": [128, 64],
    },
}


class AttentionHead(nn.Module):
    """A learned weighted mean of a clip's frames, and ReLU layers; frames have no order.

    The score of a frame h is ``w^T (tanh(V h) * sigmoid(U h))`` (eq. 9), a softmax over the
    clip's frames makes weights of scores, and they sum to one (eq. 7).
    """

    def __init__(
        self, dim: int, attention_units: int, dropout: float, fc_units: Sequence[int]
    ) -> None:
        super().__init__()
        # Without biases, as in eq. 9.
        self.v = nn.Linear(dim, attention_units, bias=False)
        self.u = nn.Linear(dim, attention_units, bias=False)
        self.w = nn.Linear(attention_units, 1, bias=False)
        for layer in (self.v, self.u, self.w):
            nn.init.xavier_uniform_(layer.weight)
        self.dropout = nn.Dropout(dropout)
        self.fc = relu_layers(dim, fc_units)
        self.width = [dim, *fc_units][-1]

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, width) of embeddings (B, S, D) float32, mask (B, S) bool.

        The mean of a clip without an unmasked frame is zero.
        """
        masked = ~mask[:, :, None]
        frames = embedding.masked_fill(masked, 0)
        score = self.w(torch.tanh(self.v(frames)) * torch.sigmoid(self.u(frames)))
        # The lowest number and not -inf: a softmax of nothing but -inf is NaN.
        weight = torch.softmax(score.masked_fill(masked, torch.finfo(score.dtype).min), dim=1)
        features: Tensor = self.fc(self.dropout((weight * frames).sum(1)))
        return features


def build(dim: int, settings: Mapping[str, Any]) -> AttentionHead:
    """Return the head for embeddings of `dim` numbers."""
    return AttentionHead(dim, **settings)
