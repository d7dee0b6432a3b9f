"""What a file in `backbones/models/` says of its network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Pretrained:
    """Where a network's published weights are.

    Attributes
    ----------
    url : str
        The official file.
    sha256 : str
        Its SHA-256.
    """

    url: str
    sha256: str


@dataclass(frozen=True)
class Backbone:
    """A network that embeds face crops.

    Attributes
    ----------
    dim : int
        Numbers in an embedding.
    size : int
        Side of the square input in pixels.
    build : callable
        Return the network, weights at random: (B, 3, size, size) float32 -> (B, dim) float32.
    preprocess : callable
        (B, 3, size, size) float32 RGB in 0..255 -> the network's input.
    pretrained : Pretrained or None
    ignored : tuple of str
        Prefixes of weights in published files that the network does not use (its classifier).
    last : tuple of str
        Prefixes of the weights of its last block, with the dot at their end: what
        ``fine_tune: last`` trains. Nothing before them is trained, so they must be all that lies
        between that block's input and the embedding.
    """

    dim: int
    size: int
    build: Callable[[], nn.Module]
    preprocess: Callable[[Tensor], Tensor]
    pretrained: Pretrained | None
    ignored: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
