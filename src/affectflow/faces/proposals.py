"""MTCNN's first network, as facenet-pytorch has it, without what nobody asks it for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from affectflow.compiled import compiled


class Proposals:
    """Scores of all windows of images, and moves of those that pass.

    The input's standardisation is part of the first convolution; that gives the four pixels which
    pooling compares as channels side by side, half as large in each direction, so that pooling is
    a comparison of channels: moving its numbers took half of the network's time. The score of two
    classes is one product, and only windows that pass are asked where their face lies.

    Parameters
    ----------
    network : facenet_pytorch.models.mtcnn.PNet
        In evaluation mode.
    centre, scale : float
        A pixel p is shown to it as (p - centre) scale.
    """

    def __init__(self, network: Any, centre: float, scale: float) -> None:
        """Compute the weights."""
        weight = network.conv1.weight * scale
        bias = network.conv1.bias - weight.sum((1, 2, 3)) * centre
        shifts = [functional.pad(weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]
        self.weight, self.bias = torch.cat(shifts), bias.repeat(4)
        self.slope = network.prelu1.weight.detach()
        network = network.to(memory_format=torch.channels_last)
        self.rest = nn.Sequential(
            network.conv2,
            network.prelu2,
            network.conv3,
            network.prelu3,
        )
        classes, moves = network.conv4_1, network.conv4_2
        self.score = (classes.weight[1] - classes.weight[0]).flatten()
        self.score_bias = classes.bias[1] - classes.bias[0]
        self.move, self.move_bias = moves.weight.flatten(1), moves.bias

    def __call__(self, pixels: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
        """Look at every window of 12 x 12 pixels, two pixels apart.

        Parameters
        ----------
        pixels : torch.Tensor
            (B, 3, H, W) float32 in 0..255.
        least : float
            Score from which a window passes.

        Returns
        -------
        tuple of torch.Tensor
            Of n windows: (n, 3) int64 image, row and column; (n,) float32 scores; (n, 4) float32
            moves of x0, y0, x1, y1 in window sides.
        """
        seen = self.rest(self._first(pixels)).permute(0, 2, 3, 1)
        scores = torch.sigmoid(seen @ self.score + self.score_bias)
        passed = (scores >= least).nonzero()
        at = passed.unbind(1)
        return passed, scores[at], functional.linear(seen[at], self.move, self.move_bias)

    def _first(self, pixels: Tensor) -> Tensor:
        """Convolve, PReLU, pool 2 x 2; an odd last row or column is compared with itself alone."""
        odd_rows, odd_columns = pixels.shape[2] % 2, pixels.shape[3] % 2
        if odd_rows or odd_columns:
            pixels = functional.pad(pixels, (0, odd_columns, 0, odd_rows))
        seen = functional.conv2d(pixels, self.weight, self.bias, 2)
        four = seen.unflatten(1, (2, 2, -1))
        if odd_rows:
            four[:, 1, ..., -1, :] = four[:, 0, ..., -1, :]
        if odd_columns:
            four[:, :, 1, ..., -1] = four[:, :, 0, ..., -1]
        if pixels.device.type == "cpu":
            places = seen.movedim(1, 3).contiguous().unflatten(3, (4, -1))
            return torch.from_numpy(_most(places.numpy(), self.slope.numpy())).movedim(3, 1)
        four = functional.prelu(seen, self.slope.repeat(4)).unflatten(1, (4, -1))
        return four.amax(1)


@compiled
def _most(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return the largest of four places after PReLU, (n, rows, columns, channels)."""
    count, rows, columns, _, channels = x.shape
    most = np.empty((count, rows, columns, channels), np.float32)
    zero = np.float32(0)
    for n in range(count):
        for row in range(rows):
            for column in range(columns):
                places = x[n, row, column]
                for c in range(channels):
                    largest = max(places[0, c], zero) + slope[c] * min(places[0, c], zero)
                    for place in range(1, 4):
                        seen = places[place, c]
                        largest = max(largest, max(seen, zero) + slope[c] * min(seen, zero))
                    most[n, row, column, c] = largest
    return most
