"""The temporal convolutional network of Bai, Kolter and Koltun (2018, section 3).

Abedi and Khan (2021) put it behind a ResNet to classify the engagement levels of DAiSEE; their
published code has 8 layers of 128 channels, kernel size 7 and dropout 0.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from affectflow.temporal.frames import last_valid, valid_first
from affectflow.temporal.layers import relu_layers

SETTINGS = {
    "channels": {"type": "integer", "minimum": 1, "default": 64},
    "layers": {"type": "integer", "minimum": 1, "maximum": 12, "default": 7},
    "kernel_size": {"type": "integer", "minimum": 2, "default": 3},
    "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.2},
    "fc_units": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "default": [],
    },
}


class CausalConvolution(nn.Module):
    """A dilated convolution whose output at a frame depends on no later one (section 3.1, 3.2).

    Its weights are a length times a direction (Salimans and Kingma 2016, eq. 2).
    """

    def __init__(self, inputs: int, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.before = (kernel_size - 1) * dilation
        self.convolution = weight_norm(nn.Conv1d(inputs, channels, kernel_size, dilation=dilation))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, S) of (B, inputs, S): zeros come before the first frame."""
        y: Tensor = self.convolution(functional.pad(x, (self.before, 0)))
        return y


class ResidualBlock(nn.Module):
    """Two convolutions, each with ReLU and dropout, beside a way around (section 3.3, fig. 1b).

    Dropout drops whole channels of a clip, as the paper says; its published code drops numbers.
    A 1x1 convolution takes the way around where the widths differ.
    """

    def __init__(
        self, inputs: int, channels: int, kernel_size: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.conv1 = CausalConvolution(inputs, channels, kernel_size, dilation)
        self.conv2 = CausalConvolution(channels, channels, kernel_size, dilation)
        self.dropout = nn.Dropout1d(dropout)
        self.around: nn.Module = nn.Identity()
        if inputs != channels:
            self.around = nn.Conv1d(inputs, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, S) of (B, inputs, S)."""
        y = self.dropout(functional.relu(self.conv1(x)))
        y = self.dropout(functional.relu(self.conv2(y)))
        return functional.relu(y + self.around(x))


class TCNHead(nn.Module):
    """Residual blocks of dilations 1, 2, 4, ..., what the last one says at the last frame, ReLU.

    It sees ``1 + 2 (kernel_size - 1) (2^layers - 1)`` frames back: two convolutions per block.
    """

    def __init__(
        self,
        dim: int,
        channels: int,
        layers: int,
        kernel_size: int,
        dropout: float,
        fc_units: Sequence[int],
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(dim if i == 0 else channels, channels, kernel_size, 2**i, dropout)
                for i in range(layers)
            )
        )
        self.fc = relu_layers(channels, fc_units)
        self.width = [channels, *fc_units][-1]
        self.receptive_field = 1 + 2 * (kernel_size - 1) * (2**layers - 1)

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Return features (B, width) of embeddings (B, S, D) float32, mask (B, S) bool.

        Masked frames move behind the others, where a causal convolution does not look. A clip
        without an unmasked frame gives zeros to the ReLU layers.
        """
        frames, length = valid_first(embedding, mask)
        states = self.blocks(frames.transpose(1, 2)).transpose(1, 2)
        features: Tensor = self.fc(last_valid(states, length))
        return features


def build(dim: int, settings: Mapping[str, Any]) -> TCNHead:
    """Return the head for embeddings of `dim` numbers."""
    return TCNHead(dim, **settings)
