"""MTCNN (Zhang et al. 2016, IEEE SPL 23(10)) with the weights that facenet-pytorch ships.

The networks and box arithmetic are facenet-pytorch's; what is around them differs where its
`detect_face` loops over every candidate in Python, fails on a batch in which a candidate lies
outside its image, and suppresses overlaps across a batch with rounding that hangs on the batch.
Here each image of a batch gets what stock `MTCNN.detect` gives it alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import (
    bbreg,
    generateBoundingBox,
    nms_numpy,
    pad,
    rerec,
)
from torch import Tensor
from torchvision.ops import batched_nms, nms

from affectflow.faces.detection import Detections
from affectflow.faces.resample import area_means, integral_images

PYRAMID_STEP = 0.709
WINDOW = 12
"""Side of the first network's window, px."""

OUTPUTS = {1: (4, 2), 2: (4, 10, 2)}
"""What the second and third network say of a candidate: moves, landmarks, scores."""

CANDIDATES = 512
"""Candidates that the second and third network see at a time."""

MEMORY = {"cpu": 192 * 2**20, "cuda": 2 * 2**30}
"""Bytes that a batch of images may take, by kind of device."""


def build(settings: Mapping[str, Any], device: torch.device | str) -> Mtcnn:
    """Make the detector.

    Parameters
    ----------
    settings : mapping
        ``min_size``: smallest face looked for, px (stock: 20, the default here too);
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
        stock = MTCNN(device=device).eval().requires_grad_(False)
        self.networks = stock.pnet, stock.rnet, stock.onet
        self.min_size = min_size
        self.thresholds = thresholds
        self.device = device

    @torch.inference_mode()
    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Return the faces of each image (H, W, 3) uint8 RGB; sizes may differ.

        As stock ``MTCNN.detect(image, landmarks=True)`` finds them, the largest first.
        """
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, image in enumerate(images):
            by_size[image.shape].append(place)
        found = [Detections.none()] * len(images)
        for (height, width, *_), places in by_size.items():
            step = self.batch_size(height, width)
            for start in range(0, len(places), step):
                batch = places[start : start + step]
                answers = self._batch([images[i] for i in batch])
                for place, faces in zip(batch, answers, strict=True):
                    found[place] = faces
        return found

    def batch_size(self, height: int, width: int) -> int:
        """Return how many images of a size are worked on at once."""
        # Integral image and its copies; the first network's maps, 58 floats per pixel it sees.
        scaled = height * width * (WINDOW / self.min_size) ** 2
        per_image = height * width * 2 * 12 + scaled * 58 * 4
        return max(1, int(MEMORY.get(self.device.type, MEMORY["cpu"]) // per_image))

    def _batch(self, images: list[np.ndarray]) -> list[Detections]:
        integral = integral_images(images, self.device)
        boxes, image = self._propose(integral)
        boxes, image = self._refine(integral, boxes, image)
        boxes, image, landmarks = self._output(integral, boxes, image)
        found = boxes.cpu().numpy(), landmarks.cpu().numpy(), image.cpu().numpy()
        return [_detections(*found, which) for which in range(len(images))]

    def _propose(self, integral: Tensor) -> tuple[Tensor, Tensor]:
        """Look at every window of an image pyramid; return (n, 5) boxes with scores, (n,) image."""
        count, height, width = integral.shape[0], integral.shape[1] - 1, integral.shape[2] - 1
        everything = torch.arange(count, device=self.device)
        frame = torch.tensor([[0, 0, width, height]], device=self.device).expand(count, 4)
        found = [(torch.empty(0, 9, device=self.device), everything[:0])]
        for scale in self._scales(min(height, width)):
            size = int(height * scale + 1), int(width * scale + 1)
            pixels = area_means(integral, everything, frame, size)
            moves, scores = self.networks[0](_standard(pixels))
            boxes, image = generateBoundingBox(moves, scores[:, 1], scale, self.thresholds[0])
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
        passed = scores[:, 1] > self.thresholds[1]
        boxes = torch.cat([boxes[passed, :4], scores[passed, 1:]], 1)
        image, moves = image[passed], moves[passed]
        keep = _per_image(image, lambda own: nms(boxes[own, :4], boxes[own, 4], 0.7))
        return rerec(bbreg(boxes[keep], moves[keep])), image[keep]

    def _output(
        self, integral: Tensor, boxes: Tensor, image: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        boxes, image, (moves, points, scores) = self._look(integral, boxes, image, 2, 48)
        passed = scores[:, 1] > self.thresholds[2]
        boxes = torch.cat([boxes[passed, :4], scores[passed, 1:]], 1)
        image, moves, points = image[passed], moves[passed], points[passed]
        side = (boxes[:, 2:4] - boxes[:, :2] + 1)[:, None]
        landmarks = points.reshape(-1, 2, 5).mT * side + boxes[:, None, :2] - 1
        boxes = bbreg(boxes, moves)

        def smaller(own: Tensor) -> Tensor:
            ours = boxes[own].cpu().numpy()
            return torch.from_numpy(nms_numpy(ours[:, :4], ours[:, 4], 0.7, "Min")).to(own)

        keep = _per_image(image, smaller)
        return boxes[keep], image[keep], landmarks[keep]

    def _look(
        self, integral: Tensor, boxes: Tensor, image: Tensor, network: int, side: int
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Show a network its candidates; return those that touch their image, and its outputs."""
        height, width = integral.shape[1] - 1, integral.shape[2] - 1
        y0, y1, x0, x1 = (torch.from_numpy(edge).long() for edge in pad(boxes, width, height))
        windows = torch.stack([x0 - 1, y0 - 1, x1, y1], 1)
        inside = ((windows[:, 2:] - windows[:, :2]) > 0).all(1).to(self.device)
        windows = windows.to(self.device)[inside]
        boxes, image = boxes[inside], image[inside]
        if not len(image):
            # The networks take no empty batch.
            return boxes, image, [boxes.new_empty(0, width) for width in OUTPUTS[network]]
        outputs = [
            self.networks[network](_standard(area_means(integral, of, at, (side, side))))
            for of, at in zip(image.split(CANDIDATES), windows.split(CANDIDATES), strict=True)
        ]
        return boxes, image, [torch.cat(parts) for parts in zip(*outputs, strict=True)]

    def _scales(self, shorter: int) -> Iterator[float]:
        scale = WINDOW / self.min_size
        shorter_scaled = shorter * scale
        while shorter_scaled >= WINDOW:
            yield scale
            scale *= PYRAMID_STEP
            shorter_scaled *= PYRAMID_STEP


def _standard(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) * 0.0078125


def _per_image(image: Tensor, suppress: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the places that `suppress` keeps of each image's places."""
    kept = [torch.empty(0, dtype=torch.long, device=image.device)]
    for which in image.unique():
        own = torch.nonzero(image == which)[:, 0]
        kept.append(own[suppress(own)])
    return torch.cat(kept)


def _detections(
    boxes: np.ndarray, landmarks: np.ndarray, image: np.ndarray, which: int
) -> Detections:
    own = np.flatnonzero(image == which)
    area = (boxes[own, 2] - boxes[own, 0]) * (boxes[own, 3] - boxes[own, 1])
    own = own[np.argsort(area, kind="stable")[::-1]]
    return Detections(boxes[own, :4], landmarks[own], boxes[own, 4])
