"""The training loop: it learns, the control doesn't, it selects, stops, and says what is wrong."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import torch
from training_sequences import SMALL, TASKS, arrays, predictions, sequences, train

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.temporal.objective import Objective
from affectflow.training.data import assemble
from affectflow.training.validation import score, validate

LEARN = {**SMALL, "epochs": 40, "dropout": 0.1, "select_by": "kappa"}
# Nats of knowing only how often each level occurs: 3 levels, and 2.
CHANCE = math.log(3) + math.log(2)


def kappa_on_test(fitted) -> float:
    table = predictions(fitted.model, sequences())
    rows = table[(table["split"] == "test") & (table["task"] == "engagement")].dropna()
    return score(rows["label"].to_numpy(int), rows["predicted"].to_numpy(int), TASKS[0])["kappa"]


def test_learns_when_something_happened(tmp_path):
    fitted = train(tmp_path, **LEARN)
    assert kappa_on_test(fitted) > 0.8
    assert fitted.history["validation_loss"].min() < 0.5 * CHANCE


def test_learns_nothing_of_permuted_labels(tmp_path):
    fitted = train(tmp_path, **LEARN, labels="permuted")
    assert fitted.history["validation_loss"].min() > 0.9 * CHANCE
    assert fitted.history["train_loss"].min() < 0.8 * CHANCE


def test_history_has_a_row_per_epoch_and_the_best_is_kept(tmp_path):
    fitted = train(tmp_path, select_by="loss", epochs=6)
    history = fitted.history
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert fitted.best_epoch == history["epoch"][history["validation_loss"].argmin()]
    assert {
        "train_loss",
        "validation_loss",
        "validation_macro_f1",
        "validation_kappa",
        "validation_accuracy_engagement",
        "validation_accuracy_camera",
        "learning_rate",
    } <= set(history.columns)
    assert not [name for name in history.columns if "second" in name or "time" in name]
    rows = predictions(fitted.model, sequences())
    rows = rows[(rows["split"] == "validation") & (rows["task"] == "camera")]
    accuracy = (rows["label"] == rows["predicted"]).mean()
    kept = history.set_index("epoch").loc[fitted.best_epoch]
    assert accuracy == pytest.approx(kept["validation_accuracy_camera"])


def test_progress_is_logged(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train(tmp_path, epochs=2)
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("epoch ")]
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "clips/s" in lines[0]


def test_patience_stops_early(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        fitted = train(tmp_path, epochs=60, patience=2, learning_rate=0.05, select_by="loss")
    assert len(fitted.history) == fitted.best_epoch + 2 < 60
    assert "no better epoch in 2: stopped" in caplog.text


def without(split: str):
    embedding, mask, ids, table = arrays()
    return assemble(embedding, mask, ids, table[table["split"] != split], TASKS)


def test_without_validation_the_last_epoch_is_kept_and_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        fitted = train(tmp_path, without("validation"), epochs=3, patience=1)
    assert fitted.best_epoch == 3
    assert "the last epoch is kept" in caplog.text
    assert list(fitted.history.columns) == ["epoch", "train_loss", "learning_rate"]


def test_no_training_clip_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="no clip to train on: 0 training clips"):
        train(tmp_path, without("train"))
    embedding, mask, ids, table = arrays()
    table.loc[table["split"] == "train", ["engagement", "camera"]] = None
    with pytest.raises(UserError, match=r"107 training clips .* none of them has a label"):
        train(tmp_path, assemble(embedding, mask, ids, table, TASKS))
    assert not list(tmp_path.iterdir())


def test_two_clips_are_enough(tmp_path):
    embedding, mask, ids, table = arrays()
    few = table.groupby("split").nth([2]).sort_index()
    fitted = train(tmp_path, assemble(embedding, mask, ids, few, TASKS), epochs=2)
    assert np.isfinite(fitted.history["validation_loss"]).all()
    assert len(predictions(fitted.model, assemble(embedding, mask, ids, few, TASKS))) == 6


def test_diverging_loss_is_the_users_error(tmp_path):
    embedding, mask, ids, table = arrays()
    row, frame = np.argwhere(mask[1:])[0] + [1, 0]
    embedding[row, frame, 0] = np.inf
    data = assemble(embedding, mask, ids, table, TASKS)
    with pytest.raises(UserError, match="the loss of epoch 1 is"):
        train(tmp_path, data, normalise="none", epochs=1)


def test_shuffling_depends_on_the_seed_alone(tmp_path):
    one = train(tmp_path, epochs=2)
    (tmp_path / "checkpoint.pt").unlink()
    torch.manual_seed(99)
    two = train(tmp_path, epochs=2)
    assert one.history.equals(two.history)


def test_global_settings_of_torch_come_back(tmp_path):
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    train(tmp_path, epochs=1)
    assert before == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())


def test_validation_scores_are_a_worked_example():
    # Confusion: truth 0,0,1,2 predicted 0,1,1,1. F1 2/3, 1/2, 0; recall 1/2, 1, 0.
    # Quadratic kappa: disagreement 0+1+0+1 = 2; by chance (rows 2,1,1; columns 1,3,0)
    # 6/4 + 1/4 + 4/4 + 3/4 = 14/4.
    truth, predicted = np.array([0, 0, 1, 2, -1]), np.array([0, 1, 1, 1, 0])
    got = score(truth, predicted, TASKS[0])
    assert got["accuracy"] == pytest.approx(2 / 4)
    assert got["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert got["balanced_accuracy"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert got["kappa"] == pytest.approx(1 - 2 / (14 / 4))


def test_level_that_never_occurs_has_no_say_in_macro_f1():
    got = score(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), TASKS[0])
    assert got["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert got["balanced_accuracy"] == pytest.approx(3 / 4)


def test_one_level_everywhere_has_kappa_0_and_a_task_without_labels_no_say():
    tasks = [*TASKS, Task("extra", "ordinal", ("no", "yes"))]
    logits = [torch.eye(3)[[0, 0]], torch.eye(2)[[1, 1]], torch.eye(2)]
    row = validate(
        logits, torch.tensor([[0, 0, -1], [0, 1, -1]]), Objective("cross_entropy", tasks)
    )
    assert row["validation_kappa_engagement"] == 0
    assert np.isnan(row["validation_accuracy_extra"])
    assert row["validation_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
