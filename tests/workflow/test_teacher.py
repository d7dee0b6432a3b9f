"""The teacher trained by several processes of this machine, and used as a backbone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas
import psutil
import pytest
from study import CHECKOUT, Study, environment
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
    assert history["validation_triplet_accuracy"].between(0, 1).all()
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
    half = ".weights.safetensors.elsewhere.7.4242.0123abcd.tmp"
    left, writing = weights.with_name("index") / half, weights.with_name("run") / half
    left.touch()
    writing.touch()
    run = study.run("results/weights/fecnet.safetensors")
    assert run.code == 0, run.out
    assert not left.exists()
    assert writing.exists(), "a job of the teacher may outlive its controller"


def more_epochs(trained: Study, epochs: int) -> Study:
    own = trained.config["teacher"]
    return trained.with_config(teacher={**own, "training": {**own["training"], "epochs": epochs}})


def test_what_one_of_the_processes_meets_is_told(trained: Study) -> None:
    table = pandas.read_csv(trained.folder / "results" / "teacher" / "index" / "expressions.csv")
    photo = Path(table["path"][0])
    away = photo.rename(photo.with_suffix(".away"))
    try:
        run = more_epochs(trained, 3).run("teacher")
    finally:
        away.rename(photo)
    assert run.code == 1
    assert f"error: {photo}: no such file" in run.out
    assert "Traceback" not in run.out


def test_processes_of_this_machine_end_with_the_command(trained: Study) -> None:
    study = more_epochs(trained, 4)
    folder = str(trained.folder / "results" / "teacher" / "run" / "jobs")
    log = (trained.folder / "killed.log").open("wb")
    command = subprocess.Popen(study.command("teacher"), stdout=log, stderr=log, env=environment())
    until(lambda: len(workers(folder)) == 2)
    for process in psutil.Process(command.pid).children(recursive=True):
        if "train_teacher.py" in " ".join(process.cmdline()):
            process.kill()
    command.wait()
    until(lambda: not workers(folder))


def workers(folder: str) -> list[psutil.Process]:
    """The processes that train there."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "submitit.core._submit" in words and folder in words:
            found.append(process)
    return found


def until(what: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"nodes": 2}, "2 machines, but no SLURM"),
        ({"gpus": 4}, "2 processes on a machine of 4 GPUs"),
    ],
)
def test_a_place_that_can_not_be(trained: Study, place: dict[str, int], words: str) -> None:
    own = trained.config["teacher"]
    study = trained.with_config(teacher={**own, "place": {**own["place"], **place}})
    run = study.run("teacher", "--forcerun", "train_teacher")
    assert run.code == 1
    assert words in run.out and "Traceback" not in run.out


def test_a_mistake_in_training_is_one_message(trained: Study) -> None:
    own = trained.config["teacher"]
    broken = {**own, "training": {**own["training"], "batch_size": 1}}
    study = trained.with_config(teacher=broken)
    run = study.run("teacher")
    assert run.code == 1
    assert "error: teacher: batch_size: 1 can't be shared by 2 processes" in run.out
    assert "Traceback" not in run.out
