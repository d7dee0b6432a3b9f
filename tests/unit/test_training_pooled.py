"""Pooled heads: statistics, estimators, probabilities, files."""

from __future__ import annotations

import json
import logging
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_sequences import TASKS, arrays

from affectflow import registry
from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.temporal.decide import Decision
from affectflow.temporal.pooled_model import PooledModel
from affectflow.temporal.settings import POOLED
from affectflow.temporal.statistics import STATISTICS, pool
from affectflow.training.data import SequenceData, assemble
from affectflow.training.experiment import BY_EPOCHS, POOLED_SETTINGS, SETTINGS, read_experiment
from affectflow.training.pooled import fit_pooled, predict_pooled
from affectflow.training.pooled_files import load_pooled, save_pooled
from affectflow.training.predict import fit_decision
from affectflow.training.validation import score

HEADS = registry.names(POOLED)
QUICK = {
    "pooled_ridge": {"ridge_alpha": 1.0},
    "pooled_svm": {},
    "pooled_forest": {"trees": 40},
    "pooled_boosting": {"iterations": 30, "leaf_clips": 5},
    "pooled_autoencoder": {"autoencoder_units": [8, 3, 8], "iterations": 30},
}


def steady(subjects: int = 30) -> SequenceData:
    """Clips whose levels are in the mean (engagement) and the deviation (camera) of a feature."""
    embedding, mask, ids, table = arrays(subjects=subjects)
    rng = np.random.default_rng(1)
    embedding = rng.normal(0, 1, embedding.shape)
    embedding[:, :, 2] += 2.5 * table["engagement"].fillna(0).to_numpy(int)[:, None]
    embedding[:, :, 3] *= 1 + 3 * table["camera"].to_numpy(int)[:, None]
    return assemble(embedding.astype(np.float16), mask, ids, table, TASKS)


def fit(head: str, data: SequenceData | None = None, seed: int = 1, **keys: object):
    experiment = read_experiment({"head": head, **QUICK[head], **keys})
    return fit_pooled(steady() if data is None else data, TASKS, experiment, seed=seed)


@pytest.fixture(scope="module", params=HEADS)
def fitted(request: pytest.FixtureRequest):
    return fit(request.param)


def kappa(model: PooledModel, data: SequenceData, place: int) -> float:
    test = data.split == "test"
    predicted = predict_pooled(model, data, 6)[place].argmax(axis=1)
    return score(data.levels[test, place], predicted[test], TASKS[place])["kappa"]


def test_every_pooled_head_is_tried() -> None:
    assert list(QUICK) == sorted(HEADS, key=list(QUICK).index)
    assert set(QUICK) == set(HEADS)


def test_learns_a_level_and_a_word(fitted) -> None:
    model, _ = fitted
    data = steady()
    # An autoencoder knows one level, and that a clip is unlike it.
    level, word = (0.5, 0.2) if model.head == "pooled_autoencoder" else (0.8, 0.6)
    assert kappa(model, data, 0) > level
    assert kappa(model, data, 1) > word


def test_probabilities_are_probabilities(fitted) -> None:
    model, _ = fitted
    for task, p in zip(TASKS, predict_pooled(model, steady(), 6), strict=True):
        assert p.shape == (len(steady()), len(task.levels))
        assert (p >= 0).all()
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_history_is_one_row_in_the_others_words(fitted) -> None:
    _, history = fitted
    (row,) = history.to_dict("records")
    assert row["epoch"] == 1
    assert row["train_loss"] > 0
    assert row["validation_loss"] < np.log(3) + np.log(2), "better than knowing the shares"
    assert row["validation_kappa"] > 0.5
    assert "validation_macro_f1_engagement" in row


def test_saved_and_loaded_predicts_the_same(fitted, tmp_path) -> None:
    model, _ = fitted
    files = tmp_path / "model.safetensors", tmp_path / "model.json"
    save_pooled(model, *files, [Decision("mode")] * 2, {"seed": 1})
    again = load_pooled(*files)
    data = steady()
    for one, two in zip(
        predict_pooled(model, data, 6), predict_pooled(again, data, 6), strict=True
    ):
        assert np.array_equal(one, two)
    assert json.loads(files[1].read_text())["trained"] == {"seed": 1}
    assert b"pickle" not in files[0].read_bytes()


def test_damaged_files_are_the_users_error(fitted, tmp_path) -> None:
    model, _ = fitted
    weights, description = tmp_path / "model.safetensors", tmp_path / "model.json"
    save_pooled(model, weights, description, [], {})
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match="is not the file that"):
        load_pooled(weights, description)
    with pytest.raises(UserError, match="no such file"):
        load_pooled(tmp_path / "none", description)
    content = json.loads(description.read_text())
    description.write_text(json.dumps({k: v for k, v in content.items() if k != "scales"}))
    with pytest.raises(UserError, match="is no pooled model's"):
        load_pooled(weights, description)
    description.write_text("{}")
    with pytest.raises(UserError, match="is not a model's description"):
        load_pooled(weights, description)


@pytest.mark.parametrize("head", HEADS)
def test_same_seed_same_model(head: str) -> None:
    data = steady(10)
    one, two = (predict_pooled(fit(head, data)[0], data, 6) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("head", HEADS)
def test_weights_lift_a_rare_level(head: str) -> None:
    """Few clips of the third level, hard to tell: with weights more of them are found."""
    data = steady()
    rng = np.random.default_rng(0)
    levels = data.levels.copy()
    gone = (levels[:, 0] == 2) & (data.split == "train") & (rng.random(len(data)) < 0.9)
    levels[gone, 0] = -1
    blurred = data.embedding + rng.normal(0, 2.5, data.embedding.shape).astype(np.float16)
    from dataclasses import replace

    data = replace(data, levels=levels, embedding=blurred)
    # A part of the frames, so that means stay uncertain.
    data = replace(data, mask=data.mask & (np.arange(data.mask.shape[1]) < 3))
    test = (data.split == "test") & (levels[:, 0] == 2)

    def recall(**keys: object) -> float:
        model, _ = fit(head, data, statistics=["mean"], **keys)
        return float((predict_pooled(model, data, 6)[0].argmax(axis=1)[test] == 2).mean())

    assert recall(level_weights="balanced") > recall()


@pytest.mark.parametrize("head", HEADS)
def test_one_level_in_training_is_said_and_predicted(
    head: str, caplog: pytest.LogCaptureFixture
) -> None:
    from dataclasses import replace

    data = steady(10)
    levels = data.levels.copy()
    levels[data.split == "train", 0] = 1
    with caplog.at_level(logging.WARNING):
        model, _ = fit(head, replace(data, levels=levels))
    assert "engagement: the training clips have one level or none" in caplog.text
    assert (predict_pooled(model, data, 6)[0].argmax(axis=1) == 1).all()


def test_a_level_that_training_lacks_has_probability_0() -> None:
    from dataclasses import replace

    data = steady(10)
    levels = data.levels.copy()
    levels[(data.split == "train") & (levels[:, 0] == 1), 0] = 2
    model, _ = fit("pooled_forest", replace(data, levels=levels))
    assert not predict_pooled(model, data, 6)[0][:, 1].any()


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), frames=st.integers(1, 8))
def test_statistics_are_numpys(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    x, mask = rng.normal(size=(4, frames, 3)), rng.random((4, frames)) > 0.4
    mask[:, 0] = True
    x[~mask] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pool(x, mask, list(STATISTICS))
    for i in range(4):
        own = x[i][mask[i]]
        wanted = np.concatenate([own.mean(0), own.std(0), own.min(0), own.max(0)])
        np.testing.assert_allclose(found[i], wanted, atol=1e-6)


def test_keys_of_training_by_epochs_are_unknown_to_pooled_heads() -> None:
    with pytest.raises(UserError, match="unknown key 'epochs'"):
        read_experiment({"head": "pooled_ridge", "epochs": 3})
    keys = read_experiment({"head": "pooled_ridge", "statistics": ["mean"]}).keys()
    assert keys["statistics"] == ["mean"]
    assert not set(BY_EPOCHS) & set(keys)
    assert keys == read_experiment(keys).keys()
    assert set(BY_EPOCHS) < set(SETTINGS)
    for head in HEADS:
        own = registry.literal(POOLED, head, "SETTINGS")
        assert not own.keys() & (SETTINGS.keys() | POOLED_SETTINGS.keys())


@pytest.mark.parametrize("head", HEADS)
def test_without_validation_labels_nothing_is_calibrated_and_all_is_predicted(head: str) -> None:
    from dataclasses import replace

    data = steady(10)
    for places in ([0], [0, 1]):
        levels = data.levels.copy()
        levels[np.ix_(data.split == "validation", places)] = -1
        model, history = fit(head, replace(data, levels=levels))
        assert len(predict_pooled(model, data, 6)) == 2
        assert ("validation_loss" in history) == (places == [0])


def test_a_task_without_a_training_label_weighs_nothing() -> None:
    from dataclasses import replace

    data = steady(10)
    levels = data.levels.copy()
    levels[data.split == "train", 0] = -1
    model, _ = fit("pooled_forest", replace(data, levels=levels), level_weights="balanced")
    assert len(predict_pooled(model, data, 6)) == 2


def test_levels_without_an_order_have_no_median() -> None:
    p, level = np.array([[0.4, 0.2, 0.4]]), np.array([2])
    words = Task("emotion", "nominal", ("a", "b", "c"))
    for rule in ("mode", "median", "calibrated"):
        assert fit_decision(rule, words, p, level) == Decision("mode")
    assert fit_decision("median", TASKS[0], p, level) == Decision("median")
