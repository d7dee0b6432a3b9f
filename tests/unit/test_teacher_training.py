"""Training the teacher: what it learns, keeps, resumes and refuses."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score
from teacher_faces import (
    DATA,
    TINY,
    Tiny,
    expressions,
    read,
    settings,
    train,
    train_and_write,
    triplets,
    without,
)

from affectflow.errors import UserError
from affectflow.teacher.network import Teacher
from affectflow.teacher.settings import SETTINGS, read_settings
from affectflow.teacher.training import log as training_log
from affectflow.teacher.training import train_teacher


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    return train_and_write(tmp_path_factory.mktemp("undisturbed"))


class InterruptAt(logging.Handler):
    """Stop the run when the log says so."""

    def __init__(self, start: str) -> None:
        super().__init__()
        self.start = start

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(self.start):
            raise KeyboardInterrupt


def interrupt(folder: Path, start: str, **keys: object) -> None:
    handler, level = InterruptAt(start), training_log.level
    training_log.addHandler(handler)
    training_log.setLevel(logging.INFO)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(folder, **keys)
    finally:
        training_log.removeHandler(handler)
        training_log.setLevel(level)


def die_reading(folder: Path, faces: int, **keys: object) -> None:
    """Die when so many faces have been read, wherever that is."""
    left = faces

    def fatal(face, size):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return read(face, size)

    with pytest.raises(KeyboardInterrupt):
        train_teacher(DATA, settings(**keys), folder / "checkpoint.pt", read=fatal, spec=TINY)


def test_files_say_what_was_trained(undisturbed, tmp_path):
    assert sorted(undisturbed) == [
        "history.csv",
        "metrics.json",
        "teacher.json",
        "weights.safetensors",
    ]
    said = json.loads(undisturbed["teacher.json"])
    assert read_settings(said["settings"]) == settings()
    (tmp_path / "history.csv").write_bytes(undisturbed["history.csv"])
    history = pandas.read_csv(tmp_path / "history.csv")
    assert history.epoch.tolist() == [1, 2, 3, 4]
    assert said["best_epoch"] == history.epoch[history.validation_loss.idxmin()]
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0]
    joint = history.validation_triplet_loss + 0.1 * history.validation_cross_entropy
    np.testing.assert_allclose(history.validation_loss, joint, rtol=1e-6)


def test_metrics_stand_beside_their_floors(undisturbed, tmp_path):
    metrics = json.loads(undisturbed["metrics.json"])
    own = metrics["affectnet"]
    confusion = np.array(own["confusion"])
    label = DATA.test_expressions.expression
    assert confusion.sum(axis=1).tolist() == np.bincount(label, minlength=8).tolist()
    assert own["accuracy"] == pytest.approx(confusion.trace() / 16)
    assert own["floor"]["majority"] == "happy"
    assert own["floor"]["accuracy"] == pytest.approx((label == 1).mean())
    predicted = np.concatenate([np.repeat(range(8), row) for row in confusion])
    truth = np.repeat(range(8), confusion.sum(axis=1))
    macro = f1_score(truth, predicted, labels=np.unique(truth), average="macro")
    assert own["macro_f1"] == pytest.approx(macro)
    fec = metrics["fec"]
    assert fec["floor"]["accuracy"] == pytest.approx(1 / 3)
    assert sum(kind["triplets"] for kind in fec["per_kind"].values()) == fec["triplets"] == 9
    assert fec["accuracy"] == pytest.approx(
        np.mean([kind["accuracy"] for kind in fec["per_kind"].values()])
    )


def test_the_test_parts_are_looked_at_once_for_the_epoch_that_validation_chose(
    undisturbed, tmp_path
):
    looked: list[str] = []

    def reading(face, size):
        looked.append(face.path.stem)
        return read(face, size)

    path = tmp_path / "checkpoint.pt"
    found = train_teacher(DATA, settings(), path, read=reading, spec=TINY)
    tested = {face.path.stem for face in DATA.test_expressions.faces}
    others = {face.path.stem for part in (DATA.train_expressions, DATA.validation_expressions)
              for face in part.faces}  # fmt: skip
    assert tested.isdisjoint(others)
    assert sorted(name for name in looked if name in tested) == sorted(tested)
    assert looked[-len(tested) :] == [face.path.stem for face in DATA.test_expressions.faces]

    metrics = json.loads(undisturbed["metrics.json"])
    chosen = found.history[found.history.epoch == found.best_epoch].iloc[0]
    own = metrics["validation"]
    assert own["fec"]["accuracy"] == pytest.approx(chosen.validation_triplet_accuracy, abs=1e-6)
    assert own["affectnet"]["accuracy"] == pytest.approx(chosen.validation_accuracy, abs=1e-6)
    assert (own["fec"]["triplets"], own["affectnet"]["images"]) == (12, 24)
    # Other test faces change what is reported, and nothing else.
    other = replace(DATA, test_triplets=triplets(30, 7), test_expressions=expressions(40, 7))
    path.unlink()
    changed = train_teacher(other, settings(), path, read=read, spec=TINY)
    assert changed.best_epoch == found.best_epoch and changed.history.equals(found.history)
    assert all(torch.equal(changed.weights[k], v) for k, v in found.weights.items())
    assert changed.metrics["validation"] == found.metrics["validation"]
    assert changed.metrics["fec"] != found.metrics["fec"]


def test_what_is_tested_is_the_chosen_epochs_weights(tmp_path):
    keys = {"epochs": 6, "learning_rate": 0.3}
    found = train(tmp_path, **keys)
    assert found.best_epoch < 6, "a later one was worse"
    (tmp_path / "alone").mkdir()
    alone = train(tmp_path / "alone", **{**keys, "epochs": found.best_epoch})
    assert alone.metrics == found.metrics


def test_all_weights_change_and_are_saved(undisturbed, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(undisturbed["weights.safetensors"])
    saved = load_file(tmp_path / "weights.safetensors")
    torch.manual_seed(0)
    before = Teacher(TINY).weights()
    assert saved.keys() == before.keys()
    assert {"heads.fec.weight", "heads.affectnet.weight", "base.0.weight"} < saved.keys()
    for name, tensor in before.items():
        assert not torch.equal(tensor, saved[name]), name


def test_frozen_base_does_not_change(tmp_path):
    torch.manual_seed(1)
    base = tmp_path / "base.safetensors"
    save_file(Tiny().base.state_dict(), base)
    given = settings(base="frozen", epochs=2)
    found = train_teacher(DATA, given, tmp_path / "checkpoint.pt", read=read, base=base, spec=TINY)
    for name, tensor in load_file(base).items():
        assert torch.equal(found.weights[f"base.{name}"], tensor)
    assert found.said["kept"]


def test_reading_ahead_changes_nothing(undisturbed, tmp_path):
    found = train_teacher(
        DATA, settings(), tmp_path / "checkpoint.pt", read=read, spec=TINY, workers=2
    )
    (tmp_path / "weights.safetensors").write_bytes(undisturbed["weights.safetensors"])
    for name, tensor in load_file(tmp_path / "weights.safetensors").items():
        assert torch.equal(found.weights[name], tensor)


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_interrupted_run_resumes_to_the_same_bytes(tmp_path, undisturbed, epoch, caplog):
    interrupt(tmp_path, f"epoch {epoch}/")
    with caplog.at_level(logging.INFO):
        assert train_and_write(tmp_path) == undisturbed
    assert f"resumed after epoch {epoch}, step 0" in caplog.text


def test_run_killed_within_an_epoch_resumes_to_the_same_bytes(tmp_path, undisturbed, caplog):
    # An epoch reads 21 x 3 + 4 x 6 faces, then 36 + 24 to validate: this is in the second one.
    die_reading(tmp_path, 147 + 3 * 24 + 1, checkpoint_steps=2)
    with caplog.at_level(logging.INFO):
        found = train_and_write(tmp_path, checkpoint_steps=2)
    assert "resumed after epoch 1, step 2" in caplog.text
    differs = {name for name in found if found[name] != undisturbed[name]}
    assert differs == {"teacher.json"}  # which says checkpoint_steps


@pytest.mark.parametrize("change", ["settings", "data", "code"])
def test_checkpoint_of_another_run_is_not_resumed(tmp_path, change, caplog):
    interrupt(tmp_path, "epoch 2/")
    with caplog.at_level(logging.INFO):
        if change == "settings":
            train(tmp_path, alpha=0.2)
        elif change == "data":
            other = (DATA.train_triplets, expressions(30, 5))
            names = ("train_triplets", "train_expressions")
            train(tmp_path, replace(DATA, **dict(zip(names, other, strict=True))))
        else:
            path = tmp_path / "checkpoint.pt"
            train_teacher(DATA, settings(), path, read=read, spec=TINY, identity="other")
    assert "is of other settings, data or code: training starts over" in caplog.text
    assert "resumed" not in caplog.text


def test_early_stop_keeps_the_best_epoch_and_is_resumed(tmp_path):
    keys = {"epochs": 40, "patience": 2, "learning_rate": 0.3}
    (tmp_path / "other").mkdir()
    whole = train(tmp_path / "other", **keys)
    assert len(whole.history) == whole.best_epoch + 2 < 40
    assert whole.history.validation_loss.idxmin() + 1 == whole.best_epoch
    interrupt(tmp_path, f"epoch {whole.best_epoch + 1}/", **keys)
    resumed = train(tmp_path, **keys)
    assert resumed.history.equals(whole.history)
    assert all(torch.equal(whole.weights[k], v) for k, v in resumed.weights.items())


def test_class_weights_matter(tmp_path):
    def predicted(scheme: str) -> np.ndarray:
        (tmp_path / scheme).mkdir()
        found = train(tmp_path / scheme, class_weights=scheme, epochs=2, alpha=1.0)
        return np.array(found.metrics["affectnet"]["confusion"]).sum(axis=0)

    # 4 in 10 images are happy: at first, and unweighted, all are taken for that.
    assert predicted("none")[1] > predicted("balanced")[1]


def test_alpha_of_0_leaves_the_expressions_unlearnt(tmp_path):
    found = train(tmp_path, alpha=0.0, epochs=1)
    torch.manual_seed(0)
    before = Teacher(TINY).weights()
    assert torch.equal(found.weights["heads.affectnet.weight"], before["heads.affectnet.weight"])
    assert not torch.equal(found.weights["heads.fec.weight"], before["heads.fec.weight"])


def test_a_loss_that_is_not_finite_is_told_and_not_kept(tmp_path):
    keys = {"learning_rate": 1e30, "checkpoint_steps": 1}
    with pytest.raises(UserError, match="is not finite") as error:
        train(tmp_path, **keys)
    assert "Lower learning_rate" in error.value.remedy
    if (tmp_path / "checkpoint.pt").exists():
        with pytest.raises(UserError, match="is not finite"):
            train(tmp_path, **keys)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("train_triplets", "FEC's training triplets"),
        ("train_expressions", "AffectNet's training images"),
        ("validation_triplets", "FEC's validation triplets"),
        ("validation_expressions", "AffectNet's validation images"),
        ("test_triplets", "FEC's test triplets"),
        ("test_expressions", "AffectNet's test images"),
    ],
)
def test_an_empty_data_set_is_told(tmp_path, part, words):
    with pytest.raises(UserError, match=words) as error:
        train(tmp_path, without(DATA, part))
    assert "path" in error.value.remedy


def test_bf16_is_a_gpus(tmp_path):
    with pytest.raises(UserError, match="no bf16") as error:
        train(tmp_path, precision="bf16")
    assert "auto" in error.value.remedy


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"learning_rat": 1.0}, "unknown key 'learning_rat'"),
        ({"learning_rate": 0}, "teacher: learning_rate"),
        ({"epochs": 2.0}, "teacher: epochs"),
        ({"class_weights": "sqrt"}, "teacher: class_weights"),
        ({"base": "frozen", "base_norm": "batch"}, "a frozen base keeps its statistics"),
    ],
)
def test_settings_that_are_wrong_are_told(keys, words):
    with pytest.raises(UserError, match=words) as error:
        read_settings(keys)
    assert error.value.remedy


def test_defaults_are_the_dissertations():
    given = read_settings({})
    assert (given.learning_rate, given.batch_size, given.epochs) == (0.005, 64, 13)
    assert (given.patience, given.alpha) == (10, 0.1)
    assert set(given.keys()) == set(SETTINGS)
