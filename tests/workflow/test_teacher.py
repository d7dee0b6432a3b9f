"""The teacher trained by several processes of this machine, and used as a backbone."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from study import CHECKOUT, Study
from teacher_config import teacher


@pytest.fixture(scope="module")
def trained(
    small_corpus: Path, expressions: Path, tmp_path_factory: pytest.TempPathFactory
) -> Study:
    config = {
        "dataset": {"root": str(small_corpus)},
        "experiments": {},
        "teacher": teacher(expressions, cluster="local"),
    }
    study = Study(CHECKOUT, tmp_path_factory.mktemp("teacher"), config)
    run = study.run("teacher")
    assert run.code == 0, run.out
    assert run.rules == {"index_teacher", "train_teacher", "teacher"}
    return study


def test_files_of_a_trained_teacher(trained: Study) -> None:
    folder = trained.folder / "results" / "teacher"
    history = pandas.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert set(history["processes"]) == {2}
    assert history.filter(like="accuracy").notna().any(axis=None)
    assert not (folder / "run" / "checkpoint.pt").exists()


def test_finished_means_finished(trained: Study) -> None:
    assert "Nothing to be done" in trained.run("teacher", "--dry-run").out


def test_other_settings_train_anew_and_another_place_does_not(trained: Study) -> None:
    own = trained.config["teacher"]
    longer = trained.with_config(teacher={**own, "training": {**own["training"], "epochs": 3}})
    assert longer.run("teacher", "--dry-run").rules == {"train_teacher", "teacher"}
    elsewhere = trained.with_config(teacher={**own, "place": {**own["place"], "processes": 1}})
    assert "Nothing to be done" in elsewhere.run("teacher", "--dry-run").out


def test_a_backbone_takes_its_weights(trained: Study) -> None:
    weights = trained.folder / "results" / "teacher" / "weights.safetensors"
    study = trained.with_config(backbones={"fecnet": {"weights": str(weights)}})
    run = study.run("results/weights/fecnet.safetensors")
    assert run.code == 0, run.out


def test_a_mistake_in_training_is_one_message(trained: Study) -> None:
    own = trained.config["teacher"]
    broken = {**own, "training": {**own["training"], "batch_size": 1}}
    study = trained.with_config(teacher=broken)
    run = study.run("teacher")
    assert run.code == 1
    assert "error: teacher: batch_size: 1 can't be shared by 2 processes" in run.out
    assert "Traceback" not in run.out
