"""Suppression in all images at once, against one image after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from facenet_pytorch.models.utils.detect_face import nms_numpy
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import nms

from affectflow.faces import suppress as module
from affectflow.faces.suppress import suppress


def crowd(seed: int, boxes: int, images: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return boxes that overlap a lot, scores of which no two are equal, and images."""
    random = np.random.default_rng(seed)
    corner, side = random.uniform(0, 60, (boxes, 2)), random.uniform(10, 60, (boxes, 2))
    scores = random.permutation(boxes) / max(boxes, 1)
    found = np.concatenate([corner, corner + side], 1), scores
    image = torch.from_numpy(random.integers(0, images, boxes))
    return *(torch.from_numpy(array.astype(np.float32)) for array in found), image


@given(st.integers(0, 10_000), st.integers(0, 80), st.integers(1, 6), st.floats(0.05, 0.95))
def test_what_stays_is_what_a_loop_leaves(
    seed: int, count: int, images: int, threshold: float
) -> None:
    boxes, scores, image = crowd(seed, count, images)
    union = suppress(boxes, scores, image, threshold, "union").tolist()
    smaller = suppress(boxes, scores, image, threshold, "smaller").tolist()
    expected_union, expected_smaller = [], []
    for which in range(images):
        own = torch.nonzero(image == which)[:, 0]
        expected_union += own[nms(boxes[own], scores[own], threshold)].tolist()
        ours = boxes[own].numpy(), scores[own].numpy()
        if len(own):
            kept = nms_numpy(*ours, np.float32(threshold), "Min")
            expected_smaller += own[torch.from_numpy(kept.astype(np.int64))].tolist()
    assert union == expected_union
    assert smaller == expected_smaller


def test_few_pairs_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, scores, image = crowd(3, 200, 9)
    at_once = suppress(boxes, scores, image, 0.5, "union")
    monkeypatch.setattr(module, "PAIRS", 1)
    assert torch.equal(suppress(boxes, scores, image, 0.5, "union"), at_once)


def test_a_chain_of_boxes() -> None:
    """Each overlaps the next: every other one stays, however long the chain."""
    start = torch.arange(101.0)[:, None] * 4
    boxes = torch.cat([start, start * 0, start + 10, start * 0 + 10], 1)
    kept = suppress(boxes, -torch.arange(101.0), torch.zeros(101, dtype=torch.long), 0.3, "union")
    assert kept.tolist() == list(range(0, 101, 2))


def test_of_equal_scores_the_first_stays() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10]])
    for overlap in ("union", "smaller"):
        kept = suppress(boxes, torch.ones(2), torch.zeros(2, dtype=torch.long), 0.5, overlap)
        assert kept.tolist() == [0]
