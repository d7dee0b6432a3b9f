"""The dissertation's sequence model (Abraham 2022, section 3.6, Table 3.1), up to `fc2`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from affectflow.temporal.frames import last_valid, valid_first
from affectflow.temporal.keras import dense, lstm

SETTINGS = {
    "lstm_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 2,
        "maxItems": 2,
        "default": [256, 256],
    },
    "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.3},
    "fc_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 2,
        "maxItems": 2,
        "default": [128, 64],
    },
}


class LSTMHead(nn.Module):
    """Two LSTM layers with dropout between, and two ReLU layers.

    The cell is the common one, with ``tanh(W_c [h, x] + b_c)`` as the input modulation: the
    dissertation's eqs. 3.3 and 3.4 print a stray sigma and a tilde.
    """

    def __init__(
        self,
        dim: int,
        lstm_units: Sequence[int],
        dropout: float,
        fc_units: Sequence[int],
    ) -> None:
        super().__init__()
        self.lstm = lstm(dim, lstm_units[0])
        self.dropout = nn.Dropout(dropout)
        self.lstm_1 = lstm(lstm_units[0], lstm_units[1])
        self.fc1 = dense(lstm_units[1], fc_units[0])
        self.fc2 = dense(fc_units[0], fc_units[1])
        self.width = fc_units[1]

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, width) of embeddings (B, S, D) float32, mask (B, S) bool.

        A masked frame carries the state over, wherever it lies in the clip; a clip without an
        unmasked frame leaves the LSTM in its first state, zero.
        """
        frames, length = valid_first(embedding, mask)
        states, _ = self.lstm(frames)
        states, _ = self.lstm_1(self.dropout(states))
        hidden = functional.relu(self.fc1(last_valid(states, length)))
        return functional.relu(self.fc2(hidden))


def build(dim: int, settings: Mapping[str, Any]) -> LSTMHead:
    """Return the head for embeddings of `dim` numbers."""
    return LSTMHead(dim, **settings)
