"""A user's mistake ends in one message that names it and the remedy, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from needs import lacking
from study import Run, Study, finish
from torchvision.models import resnet18

from affectflow.provenance.content import sha256

HEADER = "ClipID,Boredom,Engagement,Confusion,Frustration \n"


@pytest.fixture
def study(finished: Study, small_corpus: Path, tmp_path: Path) -> Study:
    """A new study of a corpus of its own, which a test may spoil."""
    root = tmp_path / "corpus"
    shutil.copytree(small_corpus, root)
    folder = tmp_path / "folder"
    folder.mkdir()
    config = {**finished.config, "dataset": {"root": str(root)}}
    return Study(finished.checkout, folder, config)


def corpus(study: Study) -> Path:
    return Path(study.config["dataset"]["root"])


def assert_told(run: Run, study: Study, *words: str) -> None:
    assert run.code == 1, run.out
    assert "Traceback" not in run.out
    last = run.out.rstrip().splitlines()[-12:]
    for word in words:
        assert any(word in line for line in last), run.out
    results = study.folder / "results"
    assert not list(results.rglob("*.tmp")), "nothing half-written"
    assert not list(results.rglob("report.html"))


def test_missing_dataset_folder(study: Study) -> None:
    run = study.with_config(dataset={"root": "/nowhere/daisee"}).run()
    assert_told(run, study, "dataset.root: there is no folder /nowhere/daisee", "make demo")
    assert not (study.folder / "results").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["TrainLabels.csv: is empty", "It needs a header"]),
        (
            HEADER + "9100010001.avi,0,high,1,0\n",
            ["TrainLabels.csv: row 2, column Engagement: 'high' is not a level", "whole numbers"],
        ),
    ],
)
def test_bad_labels(study: Study, content: str, words: list[str]) -> None:
    (corpus(study) / "Labels" / "TrainLabels.csv").write_text(content)
    assert_told(study.run(), study, *words)
    assert not (study.folder / "results").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": {"perclip": 4}}, ["unknown key 'frames.perclip'", "Did you mean 'per_clip'?"]),
        (
            {"backbones": {"resnet81": {"weights": "random"}}},
            ["unknown backbone 'resnet81'", "Did you mean 'resnet18'?"],
        ),
        ({"seed": "one"}, ["config: seed is 'one'", "a whole number"]),
        (
            {"experiments": {"a": {"backbone": "resnet18", "epoch": 3}}},
            ["a: unknown key 'epoch'", "Did you mean 'epochs'?"],
        ),
    ],
)
def test_config_mistakes(study: Study, change: dict[str, Any], words: list[str]) -> None:
    assert_told(study.with_config(**change).run(), study, *words)
    assert not (study.folder / "results").exists()


def weights(study: Study, *targets: str, **settings: str) -> Run:
    return study.with_config(backbones={"resnet18": settings}).run(*targets)


def test_weights_that_are_not_there(study: Study) -> None:
    run = weights(study, weights="/nowhere/resnet18.pth")
    assert_told(run, study, "there is no file /nowhere/resnet18.pth", "`pretrained`, or `random`")


def test_weights_with_another_sha256(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "resnet18.pth"
    torch.save(resnet18(weights=None).state_dict(), path)
    run = weights(study, weights=str(path), sha256="0" * 64)
    assert_told(run, study, f"backbones.resnet18.sha256: {path} has {sha256(path)}", "fetch it")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("another architecture", ["is not resnet18", "Give weights of resnet18"]),
        ("truncated", ["is cut short or no file of weights", "Fetch it again"]),
    ],
)
def test_weights_that_do_not_fit(study: Study, tmp_path: Path, kind: str, words: list[str]) -> None:
    path = tmp_path / "weights.pth"
    network = torch.nn.Linear(3, 3) if kind == "another architecture" else resnet18(weights=None)
    torch.save(network.state_dict(), path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:1_000_000])
    run = weights(study, "results/weights/resnet18.safetensors", weights=str(path))
    assert_told(run, study, *words)
    assert not list((study.folder / "results").rglob("*.safetensors"))


def test_no_decodable_clip(study: Study) -> None:
    for video in (corpus(study) / "DataSet").rglob("*.*"):
        video.write_bytes(b"no video at all")
    run = study.run()
    assert_told(run, study, "no clip of the study has a face in any decodable frame", "audit.csv")
    audit = (study.folder / "results" / "dataset" / "audit.csv").read_text()
    videos = [path for path in (corpus(study) / "DataSet").rglob("*") if path.is_file()]
    assert audit.count(",undecodable,") == len(videos)


def read_only(command: list[str], folder: Path) -> list[str]:
    """A command that finds `folder` read-only; permissions alone don't stop root."""
    if os.geteuid():
        folder.chmod(0o500)
        return command
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", *command]


@pytest.mark.parametrize("part", ["results", "."])
def test_folder_that_cannot_be_written(study: Study, part: str) -> None:
    folder = study.folder / part
    folder.mkdir(exist_ok=True)
    command = study.command()
    allowed = subprocess.run(read_only(["true"], folder), capture_output=True, check=False)
    if allowed.returncode:
        lacking(f"a folder can't be made read-only here: {allowed.stderr.decode().strip()}")
    run = finish(read_only(command, folder))
    assert_told(run, study, f"{folder.resolve()}: cannot be written to", "--directory DIR")
