"""MTCNN (Zhang et al. 2016, IEEE SPL 23(10)) with the weights that facenet-pytorch ships.

The networks and box arithmetic are facenet-pytorch's; what is around them differs where its
`detect_face` loops over every candidate in Python, fails on a batch in which a candidate lies
outside its image, and suppresses overlaps across a batch with rounding that hangs on the batch.
Here each image of a batch gets what stock `MTCNN.detect` gives it alone.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import bbreg, rerec
from torch import Tensor
from torchvision.ops import batched_nms

from affectflow.devices import full_float32
from affectflow.faces.detection import Detections
from affectflow.faces.prelu import fuse
from affectflow.faces.proposals import Proposals
from affectflow.faces.pyramid import STRIDE, WINDOW, first_scale, pyramid
from affectflow.faces.resample import area_means, integral_images
from affectflow.faces.suppress import suppress

CENTRE, SCALE = 127.5, 0.0078125
"""A pixel p is shown to the networks as (p - CENTRE) SCALE."""

OUTPUTS = {1: (4, 2), 2: (4, 10, 2)}
"""What the second and third network say of a candidate: moves, landmarks, scores."""

CANDIDATES = {"cpu": 48, "cuda": 4096}
"""Candidates that the second and third network see at a time: as many as a CPU's cache holds."""

FILLED = {"cuda": 64}
"""Candidates that are shown at least, and from there a power of two of them: a GPU's convolutions
are planned anew for each number of images that they did not meet before."""

PLANS = "TORCH_CUDNN_V8_API_LRU_CACHE_LIMIT", "1000"
"""Torch's variable for how many of those plans each thread keeps: its own 10,000 take 2 GB."""

MEMORY = {"cpu": 128 * 2**20, "cuda": 2 * 2**30}
"""Bytes that a batch of images may take, by kind of device. More does not make a CPU quicker."""


def build(settings: Mapping[str, Any], device: torch.device | str) -> Mtcnn:
    """Make the detector.

    Parameters
    ----------
    settings : mapping
        ``min_size``: smallest face looked for, px (stock: 20, the default here too). From 20 on,
        images are shrunk as stock shrinks them for 20, less the largest that are not needed, so
        that faces get the boxes they get there: for 50 and 60 those from 40 and 56 on.
        ``thresholds``: the three networks' (stock: 0.6, 0.7, 0.7).
    device : torch.device
    """
    return Mtcnn(
        settings.get("min_size", 20),
        tuple(settings.get("thresholds", (0.6, 0.7, 0.7))),
        torch.device(device),
    )


class Mtcnn:
    """A cascade of three networks, each of which looks closer at what the one before let pass."""

    def __init__(self, min_size: int, thresholds: tuple[float, ...], device: torch.device) -> None:
        """Load the networks."""
        full_float32()
        os.environ.setdefault(*PLANS)
        stock = MTCNN(device=device).eval().requires_grad_(False)
        self.propose = Proposals(stock.pnet, CENTRE, SCALE)
        # Convolutions and pooling of so few channels are up to four times as fast in this order.
        self.closer = {
            1: fuse(stock.rnet.to(memory_format=torch.channels_last)),
            2: fuse(stock.onet.to(memory_format=torch.channels_last)),
        }
        self.scale = first_scale(min_size)
        self.smallest = WINDOW / self.scale
        self.thresholds = thresholds
        self.device = device

    @torch.inference_mode()
    def detect(
        self, images: Sequence[np.ndarray], near: Sequence[np.ndarray] | None = None
    ) -> list[Detections]:
        """Return the faces of each image (H, W, 3) uint8 RGB; sizes may differ.

        As stock ``MTCNN.detect(image, landmarks=True)`` finds them, the largest first. Near boxes
        the first network is shown only windows of about their sizes with their centres there, and
        some around, to cut parts of one size out of a batch.
        """
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, image in enumerate(images):
            by_size[image.shape].append(place)
        found = [Detections.none()] * len(images)
        for (height, width, *_), places in by_size.items():
            step = self.batch_size(height, width, near is not None)
            for start in range(0, len(places), step):
                batch = places[start : start + step]
                boxes = None if near is None else [near[i] for i in batch]
                answers = self._batch([images[i] for i in batch], boxes)
                for place, faces in zip(batch, answers, strict=True):
                    found[place] = faces
        return found

    def batch_size(self, height: int, width: int, near: bool = False) -> int:
        """Return how many images of a size are worked on at once."""
        # Integral image and its copies; the first network's maps, 58 floats per pixel it sees.
        scaled = 0 if near else height * width * self.scale**2
        per_image = height * width * 2 * 12 + scaled * 58 * 4
        return max(1, int(MEMORY.get(self.device.type, MEMORY["cpu"]) // per_image))

    def _batch(
        self, images: list[np.ndarray], near: Sequence[np.ndarray] | None
    ) -> list[Detections]:
        integral = integral_images(images, self.device)
        boxes, image = self._propose(integral, near)
        boxes, image = self._refine(integral, boxes, image)
        boxes, image, landmarks = self._output(integral, boxes, image)
        found = boxes.cpu().numpy(), landmarks.cpu().numpy(), image.cpu().numpy()
        return [_detections(*found, which) for which in range(len(images))]

    def _propose(
        self, integral: Tensor, near: Sequence[np.ndarray] | None
    ) -> tuple[Tensor, Tensor]:
        """Look at the windows of an image pyramid; return (n, 5) boxes with scores, (n,) image."""
        none = torch.empty(0, dtype=torch.long, device=self.device)
        found = [(torch.empty(0, 9, device=self.device), none)]
        for level in pyramid(integral, self.scale, near):
            windows, scores, moves = self.propose(level.pixels, self.thresholds[0])
            of = windows[:, 0]
            image, corner = level.image[of], (windows[:, 1:] + level.first[of]).flip(1) * STRIDE + 1
            ends = torch.cat([corner, corner + WINDOW - 1], 1)
            # Of a number torch's GPUs multiply with the reciprocal: another pixel, at times.
            boxes = (ends / torch.full((), level.scale, device=self.device)).floor()
            boxes = torch.cat([boxes, scores[:, None], moves], 1)
            # These boxes have whole coordinates, which a batched suppression offsets exactly.
            keep = batched_nms(boxes[:, :4], boxes[:, 4], image, 0.5)
            found.append((boxes[keep], image[keep]))
        boxes, image = (torch.cat(parts) for parts in zip(*found, strict=True))
        keep = batched_nms(boxes[:, :4], boxes[:, 4], image, 0.7)
        boxes, image = boxes[keep], image[keep]
        width_height = (boxes[:, 2:4] - boxes[:, :2]).repeat(1, 2)
        moved = boxes[:, :4] + boxes[:, 5:9] * width_height
        return rerec(torch.cat([moved, boxes[:, 4:5]], 1)), image

    def _refine(self, integral: Tensor, boxes: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        boxes, image, (moves, scores) = self._look(integral, boxes, image, 1, 24)
        passed = _places(scores[:, 1] > self.thresholds[1])
        boxes = torch.cat([boxes[passed, :4], scores[passed, 1:]], 1)
        image, moves = image[passed], moves[passed]
        keep = suppress(boxes[:, :4], boxes[:, 4], image, 0.7, "union")
        return rerec(bbreg(boxes[keep], moves[keep])), image[keep]

    def _output(
        self, integral: Tensor, boxes: Tensor, image: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        boxes, image, (moves, points, scores) = self._look(integral, boxes, image, 2, 48)
        passed = _places(scores[:, 1] > self.thresholds[2])
        boxes = torch.cat([boxes[passed, :4], scores[passed, 1:]], 1)
        image, moves, points = image[passed], moves[passed], points[passed]
        side = (boxes[:, 2:4] - boxes[:, :2] + 1)[:, None]
        landmarks = points.reshape(-1, 2, 5).mT * side + boxes[:, None, :2] - 1
        boxes = bbreg(boxes, moves)
        keep = suppress(boxes[:, :4], boxes[:, 4], image, 0.7, "smaller")
        return boxes[keep], image[keep], landmarks[keep]

    def _look(
        self, integral: Tensor, boxes: Tensor, image: Tensor, network: int, side: int
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Show a network its candidates; return those that touch their image, and its outputs."""
        height, width = integral.shape[1] - 1, integral.shape[2] - 1
        corners = boxes[:, :4].long()
        first = corners[:, :2].clamp(min=1) - 1
        ends = corners[:, 2:3].clamp(max=width), corners[:, 3:].clamp(max=height)
        windows = torch.cat([first, *ends], 1)
        inside = _places((windows[:, 2:] > windows[:, :2]).all(1))
        boxes, image, windows = boxes[inside], image[inside], windows[inside]
        if not len(image):
            # The networks take no empty batch.
            return boxes, image, [boxes.new_empty(0, width) for width in OUTPUTS[network]]
        together = CANDIDATES.get(self.device.type, CANDIDATES["cpu"])
        shown = self._filled(image), self._filled(windows)
        outputs = [
            self.closer[network](_standard(area_means(integral, of, at, (side, side))))
            for of, at in zip(*(each.split(together) for each in shown), strict=True)
        ]
        found = [torch.cat(parts)[: len(image)] for parts in zip(*outputs, strict=True)]
        return boxes, image, found

    def _filled(self, candidates: Tensor) -> Tensor:
        """Return (n, ...), and of the last as many more as `FILLED` asks for."""
        kind = self.device.type
        rest = len(candidates) % CANDIDATES[kind] if kind in FILLED else 0
        if not rest:
            return candidates
        more = max(FILLED[kind], 1 << (rest - 1).bit_length()) - rest
        return torch.cat([candidates, candidates[-1:].expand(more, *candidates.shape[1:])])


def _places(which: Tensor) -> Tensor:
    """Return where (n,) bool is true: each indexing with it would wait for a GPU anew."""
    return which.nonzero()[:, 0]


def _standard(pixels: Tensor) -> Tensor:
    return (pixels - CENTRE) * SCALE


def _detections(
    boxes: np.ndarray, landmarks: np.ndarray, image: np.ndarray, which: int
) -> Detections:
    own = np.flatnonzero(image == which)
    area = (boxes[own, 2] - boxes[own, 0]) * (boxes[own, 3] - boxes[own, 1])
    own = own[np.argsort(area, kind="stable")[::-1]]
    return Detections(boxes[own, :4], landmarks[own], boxes[own, 4])
