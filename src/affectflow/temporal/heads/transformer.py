"""A small transformer encoder (Vaswani et al. 2017, section 3), and the mean over its frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from affectflow.temporal.frames import valid_first
from affectflow.temporal.keras import dense
from affectflow.temporal.layers import relu_layers

SETTINGS = {
    "layers": {"type": "integer", "minimum": 1, "default": 2},
    "attention_heads": {"type": "integer", "minimum": 1, "default": 4},
    "head_units": {"type": "integer", "minimum": 1, "default": 32},
    "feedforward_units": {"type": "integer", "minimum": 1, "default": 256},
    "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.3},
    "fc_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "default": [],
    },
}


class EncoderLayer(nn.Module):
    """Multi-head attention (section 3.2), then a network for each frame (eq. 2), both residual.

    Each takes what is normalised (Xiong et al. 2020, fig. 1b) and not, as in 2017, the sum after
    it: this trains without a warm-up of the learning rate, which there is none of here.
    """

    def __init__(
        self, attention_heads: int, head_units: int, feedforward_units: int, dropout: float
    ) -> None:
        super().__init__()
        width = attention_heads * head_units
        self.attention_heads = attention_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        # Queries, keys and values side by side; without biases, as in section 3.2.2.
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.join = nn.Linear(width, width, bias=False)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.xavier_uniform_(self.join.weight)
        self.fc1, self.fc2 = dense(width, feedforward_units), dense(feedforward_units, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return (B, S, width) of (B, S, width); only frames where `valid` (B, S) are looked at."""
        x = x + self.dropout(self.attend(self.norm1(x), valid))
        y = self.fc2(functional.relu(self.fc1(self.norm2(x))))
        return x + self.dropout(y)

    def attend(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return ``softmax(Q K^T / sqrt(head_units)) V`` of all heads (eq. 1), joined."""
        parts = self.project(x).unflatten(2, (3, self.attention_heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=valid[:, None, None, :]
        )
        joined: Tensor = self.join(seen.transpose(1, 2).flatten(2))
        return joined


class TransformerHead(nn.Module):
    """Frames and their places, encoder layers, the mean over unmasked frames, and ReLU layers.

    Its width is ``attention_heads * head_units``, so that any two of them fit.
    """

    def __init__(
        self,
        dim: int,
        layers: int,
        attention_heads: int,
        head_units: int,
        feedforward_units: int,
        dropout: float,
        fc_units: Sequence[int],
    ) -> None:
        super().__init__()
        width = attention_heads * head_units
        self.enter = dense(dim, width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(attention_heads, head_units, feedforward_units, dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.fc = relu_layers(width, fc_units)
        self.width = [width, *fc_units][-1]

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, width) of embeddings (B, S, D) float32, mask (B, S) bool.

        Places count unmasked frames. A clip without any is one frame of zeros.
        """
        frames, length = valid_first(embedding, mask)
        length = length.clamp(min=1)
        valid = torch.arange(frames.shape[1], device=length.device) < length[:, None]
        x = self.enter(frames)
        x = self.dropout(x + places(x.shape[1], x.shape[2]).to(x))
        for layer in self.layers:
            x = layer(x, valid)
        x = self.norm(x).masked_fill(~valid[:, :, None], 0)
        features: Tensor = self.fc(x.sum(1) / length[:, None])
        return features


def places(frames: int, width: int) -> Tensor:
    """Return the sines and cosines that stand for places 0, 1, ... (section 3.5), (S, width)."""
    even = torch.arange(0, width, 2)
    angle = torch.arange(frames)[:, None] * torch.exp(even / width * -math.log(10_000))
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :width]


def build(dim: int, settings: Mapping[str, Any]) -> TransformerHead:
    """Return the head for embeddings of `dim` numbers."""
    return TransformerHead(dim, **settings)
