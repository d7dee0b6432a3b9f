"""Losses against their papers' definitions, worked by hand, and what every loss has in common."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from affectflow import registry
from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.temporal.decide import Decision, expected_level, median
from affectflow.temporal.objective import Objective
from affectflow.temporal.settings import LOSSES, loss_settings
from affectflow.training.predict import DECIMALS
from affectflow.training.validation import validate

NAMES = registry.names(LOSSES)
LEVELS = Task("engagement", "ordinal", ("0", "1", "2", "3"))
WORDS = Task("emotion", "nominal", ("calm", "happy", "sad"))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def module(name: str):
    return registry.load(LOSSES, name)


def test_all_losses_are_known() -> None:
    assert NAMES == ["coral", "corn", "cross_entropy", "focal", "soft_ordinal"]


def test_coral_is_the_papers_equation_4() -> None:
    # Level 2 of 4 is above steps 0 and 1, not above step 2.
    scores = torch.tensor([[2.0, 0.5, -1.0]])
    value, count = module("coral").terms(scores, torch.tensor([2]))
    by_hand = -(math.log(sigmoid(2.0)) + math.log(sigmoid(0.5)) + math.log(1 - sigmoid(-1.0)))
    assert value.item() == pytest.approx(by_hand, rel=1e-6)
    assert count.item() == 1


def test_coral_levels_share_one_direction() -> None:
    layer = module("coral").layer(5, 4)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {
        "bias": (3,),
        "direction.weight": (1, 5),
    }
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
        features = torch.randn(6, 5)
        scores = layer(features)
    torch.testing.assert_close(scores - scores[:, :1], torch.tensor([[0.0, -1, -2]]).expand(6, 3))
    # The paper's rule (eq. 1): the rank is how many binary answers are above one half.
    found = Objective("coral", [LEVELS])
    p = found.probabilities([scores])[0]
    by_paper = (torch.sigmoid(scores) > 0.5).sum(1)
    assert median(p.double().numpy()).tolist() == by_paper.tolist()


def scores_of(above: list[float]) -> torch.Tensor:
    return torch.logit(torch.tensor([above], dtype=torch.float64))


def test_corals_level_is_the_papers_where_thresholds_cross() -> None:
    scores = scores_of([0.4, 0.6, 0.2])
    p = module("coral").probabilities(scores)
    np.testing.assert_allclose(p[0], [0.4, 0.2, 0.2, 0.2])
    assert median(p.numpy()).tolist() == [1]
    # The history's figures are of the same rule.
    assert validate([scores], torch.tensor([[1]]), Objective("coral", [LEVELS]))[
        "validation_accuracy"
    ] == pytest.approx(1)


STEP = st.floats(1e-4, 20) | st.floats(-20, -1e-4)


@given(scores=st.lists(STEP, min_size=1, max_size=5))
def test_corals_and_corns_levels_are_the_papers_whatever_the_scores(scores: list[float]) -> None:
    """Cao et al. 2020, eq. 1; Shi et al. 2021, section 3.4: rank = 1 + how many are above .5."""
    x = torch.tensor([scores])
    steps = {"coral": torch.sigmoid(x), "corn": torch.sigmoid(x).cumprod(1)}
    assert (steps["corn"].diff() <= 0).all(), "CORN's steps can't cross"
    for name, above in steps.items():
        # Levels are taken from probabilities as they are written: what that rounds away is lost.
        if ((above - 0.5).abs() < 1e-5).any():
            continue
        p = module(name).probabilities(x).double().numpy().round(DECIMALS)
        assert (p >= 0).all() and p.sum() == pytest.approx(1, abs=1e-5)
        assert median(p).tolist() == (above > 0.5).sum(1).tolist()
        assert p[0, median(p)[0]] > 0
        assert expected_level(p) == pytest.approx(float(above.sum()), abs=1e-4)


def test_corn_is_the_papers_equation_7() -> None:
    # Levels 0 and 2 of 4: the first clip is asked step 0 only, the second steps 0, 1 and 2.
    scores = torch.tensor([[1.0, 5.0, -7.0], [0.5, -0.5, 2.0]])
    value, count = module("corn").terms(scores, torch.tensor([0, 2]))
    first = -math.log(1 - sigmoid(1.0))
    second = -(math.log(sigmoid(0.5)) + math.log(sigmoid(-0.5)) + math.log(1 - sigmoid(2.0)))
    assert value.tolist() == pytest.approx([first, second], rel=1e-6)
    assert count.tolist() == [1, 3]
    whole = Objective("corn", [LEVELS])([scores], torch.tensor([[0], [2]]))
    assert whole.item() == pytest.approx((first + second) / 4, rel=1e-6)


def test_corn_probabilities_are_the_chain_rules() -> None:
    scores = torch.tensor([[0.5, -0.5, 2.0]])
    above = np.cumprod([sigmoid(0.5), sigmoid(-0.5), sigmoid(2.0)])
    by_hand = -np.diff([1, *above, 0])
    np.testing.assert_allclose(module("corn").probabilities(scores)[0], by_hand, rtol=1e-6)


def test_focal_is_the_papers_equation_4_and_gamma_0_is_cross_entropy() -> None:
    scores = torch.tensor([[math.log(3), 0.0]])
    value, _ = module("focal").terms(scores, torch.tensor([0]), focal_gamma=2.0)
    assert value.item() == pytest.approx(-(0.25**2) * math.log(0.75), rel=1e-6)
    x, level = torch.randn(9, 4), torch.randint(0, 4, (9,))
    plain, _ = module("focal").terms(x, level, focal_gamma=0.0)
    torch.testing.assert_close(plain, functional.cross_entropy(x, level, reduction="none"))


def test_focal_of_a_certain_clip_has_a_finite_gradient() -> None:
    scores = torch.tensor([[100.0, -100.0]], requires_grad=True)
    module("focal").terms(scores, torch.tensor([0]), focal_gamma=0.5)[0].sum().backward()
    assert torch.isfinite(scores.grad).all()


def test_soft_labels_are_the_papers_equation_1() -> None:
    scores = torch.randn(1, 3)
    value, _ = module("soft_ordinal").terms(scores, torch.tensor([0]), soft_scale=1.0)
    soft = np.exp([0.0, -1.0, -2.0]) / np.exp([0.0, -1.0, -2.0]).sum()
    log_p = torch.log_softmax(scores, 1)[0].numpy()
    assert value.item() == pytest.approx(-(soft * log_p).sum(), rel=1e-6)


def test_label_smoothing_spreads_its_share() -> None:
    scores = torch.tensor([[math.log(3), 0.0]])
    value, _ = module("cross_entropy").terms(scores, torch.tensor([0]), label_smoothing=0.2)
    assert value.item() == pytest.approx(-0.9 * math.log(0.75) - 0.1 * math.log(0.25), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), levels=st.integers(2, 6), size=st.floats(0, 30))
def test_every_loss(name: str, seed: int, levels: int, size: float) -> None:
    """Probabilities are probabilities, values are finite and not negative, and gradients flow."""
    torch.manual_seed(seed)
    loss = module(name)
    layer = loss.layer(5, levels)
    scores = layer(size * torch.randn(7, 5))
    p = loss.probabilities(scores)
    assert p.shape == (7, levels)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(1), torch.ones(7))
    settings_ = {key: spec["default"] for key, spec in loss_settings(name).items()}
    value, count = loss.terms(scores, torch.randint(0, levels, (7,)), **settings_)
    assert value.shape == count.shape == (7,)
    assert (value >= 0).all() and torch.isfinite(value).all() and (count >= 1).all()
    value.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_learns_its_levels(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 3)
    level = torch.bucketize(x[:, 0].contiguous(), torch.tensor([-0.7, 0.0, 0.7]))
    objective = Objective(name, [LEVELS])
    layer = objective.layers(3)[0]
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        objective([layer(x)], level[:, None]).backward()
        optimiser.step()
    (p,) = objective.probabilities([layer(x).detach()])
    found = Decision(objective.decisions()[0])(p.double().numpy())
    assert (found == level.numpy()).mean() > 0.85


def test_tasks_without_an_order_take_cross_entropy_beside_an_ordinal_loss() -> None:
    objective = Objective("coral", [LEVELS, WORDS])
    layers = objective.layers(5)
    scores = [layer(torch.randn(4, 5)) for layer in layers]
    assert [s.shape[1] for s in scores] == [3, 3]
    assert objective.decisions() == ["median", "mode"]
    assert [p.shape[1] for p in objective.probabilities(scores)] == [4, 3]
    objective(scores, torch.tensor([[0, 2], [1, -1], [3, 0], [-1, 1]])).backward()


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(NAMES))
def test_weights_count_clips_and_missing_labels_do_not(seed: int, name: str) -> None:
    """A level of weight 2 is that level's clips twice; an unlabelled clip is none."""
    rng = np.random.default_rng(seed)
    objective = Objective(name, [LEVELS])
    level = torch.from_numpy(rng.integers(0, 4, 12))
    width = objective.layers(1)[0](torch.zeros(1, 1)).shape[1]
    scores = torch.from_numpy(rng.normal(size=(12, width)))
    weight = torch.tensor([1.0, 2.0, 1.0, 3.0], dtype=torch.float64)
    weighed = objective([scores], level[:, None], [weight])
    times = weight[level].long()
    again = torch.repeat_interleave(torch.arange(12), times)
    more = torch.cat([scores[again], torch.randn(3, scores.shape[1], dtype=torch.float64)])
    known = torch.cat([level[again], torch.full((3,), -1)])
    torch.testing.assert_close(weighed, objective([more], known[:, None]))


def test_a_task_without_labels_in_the_batch_adds_nothing() -> None:
    objective = Objective("corn", [LEVELS])
    assert objective([torch.randn(3, 3)], torch.full((3, 1), -1)).item() == 0


def test_unknown_loss_is_told() -> None:
    with pytest.raises(UserError, match=r"unknown loss 'coraal'\n.*coral"):
        Objective("coraal", [LEVELS])
    with pytest.raises(UserError, match="loss: unknown loss 'focall'"):
        loss_settings("focall")
