"""The teacher's losses against sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from affectflow.errors import UserError
from affectflow.teacher.losses import (
    cross_entropy_part,
    distances,
    joint,
    margins,
    triplet_losses,
    triplet_part,
)
from affectflow.teacher.validation import found_odd

# On the unit circle: squared distances 2 (right angle), 4 (opposite), 2 - 2 cos otherwise.
EAST, NORTH, WEST = (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)
NEAR = (0.8, 0.6)  # 0.4 from east, 0.8 from north, 3.6 from west


def test_distances_are_of_the_pair_across():
    found = distances(torch.tensor([[EAST, NEAR, WEST]]))
    torch.testing.assert_close(found, torch.tensor([[3.6, 4.0, 0.4]]))


@pytest.mark.parametrize(
    ("faces", "odd", "margin", "expected"),
    [
        # similar pair 0.4, to the odd one 2.0 and 0.8: both far enough
        ((EAST, NEAR, NORTH), 2, 0.2, 0.0),
        # similar 0.8 (1, 2), to the odd one 0.4 and 2.0: 0.8 - 0.4 + 0.2, and 0
        ((EAST, NEAR, NORTH), 0, 0.2, 0.6),
        # similar 2.0 (0, 2), to the odd one 0.4 and 0.8: 1.6 + 0.1, and 1.2 + 0.1
        ((EAST, NEAR, NORTH), 1, 0.1, 3.0),
        # all the same: both terms are the margin
        ((EAST, EAST, EAST), 1, 0.1, 0.2),
    ],
)
def test_triplet_loss_by_hand(faces, odd, margin, expected):
    found = triplet_losses(torch.tensor([faces]), torch.tensor([odd]), torch.tensor([margin]))
    torch.testing.assert_close(found, torch.tensor([expected]))


def test_order_of_the_faces_does_not_matter():
    given = torch.randn(1, 3, 32)
    expected = triplet_losses(given, torch.tensor([2]), torch.tensor([0.2]))
    for order in ([1, 0, 2], [2, 0, 1], [0, 2, 1]):
        odd = torch.tensor([order.index(2)])
        torch.testing.assert_close(
            triplet_losses(given[:, order], odd, torch.tensor([0.2])), expected
        )


def test_joint_loss_by_hand():
    embeddings = torch.tensor([[EAST, NEAR, NORTH], [EAST, NEAR, NORTH]])
    triplet = triplet_part(embeddings, torch.tensor([0, 1]), torch.tensor([0.2, 0.1]), 2)
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # 3/4 and 1/2 for level 0
    label = torch.tensor([0, 1])
    entropy = cross_entropy_part(logits, label, label)
    expected = (0.6 + 3.0) / 2 + 0.1 * (math.log(4 / 3) + math.log(2)) / 2
    assert float(joint(triplet, entropy, 0.1)) == pytest.approx(expected, rel=1e-6)


def test_class_weights_weigh_the_mean():
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    label, weights = torch.tensor([0, 1]), torch.tensor([1.0, 3.0])
    found = cross_entropy_part(logits, label, label, weights)
    expected = (math.log(4 / 3) + 3 * math.log(2)) / 4
    assert float(found) == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(found, functional.cross_entropy(logits, label, weights))


def test_uneven_parts_add_up_to_the_mean():
    embeddings = functional.normalize(torch.randn(5, 3, 32), dim=2)
    odd, margin = torch.tensor([0, 1, 2, 0, 1]), torch.full((5,), 0.2)
    logits, label = torch.randn(5, 8), torch.tensor([0, 7, 3, 3, 1])
    weights = torch.rand(8)
    whole = triplet_losses(embeddings, odd, margin).mean()
    parts = [triplet_part(embeddings[s], odd[s], margin[s], 5) for s in (slice(4), slice(4, 5))]
    torch.testing.assert_close(parts[0] + parts[1], whole)
    pieces = [
        cross_entropy_part(logits[s], label[s], label, weights) for s in (slice(3), slice(3, 5))
    ]
    torch.testing.assert_close(
        pieces[0] + pieces[1], functional.cross_entropy(logits, label, weights)
    )
    none = triplet_part(embeddings[:0], odd[:0], margin[:0], 5)
    assert float(none) == 0


def test_margins_are_of_the_kind():
    found = margins(np.array(["two_class", "one_class", "three_class", "one_class"]))
    np.testing.assert_array_equal(found, np.array([0.2, 0.1, 0.2, 0.1], np.float32))
    with pytest.raises(UserError, match="unknown kind 'four_class'"):
        margins(np.array(["one_class", "four_class"]))


def test_odd_one_is_found_where_both_its_distances_are_larger():
    given = torch.tensor([[EAST, NEAR, NORTH]]).expand(3, -1, -1)
    assert found_odd(given, torch.tensor([0, 1, 2])).tolist() == [False, False, True]
    same = torch.ones(1, 3, 4)
    assert found_odd(same, torch.tensor([1])).tolist() == [False]
