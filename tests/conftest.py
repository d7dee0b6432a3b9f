"""Corpora, and full runs over them, shared by the tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from study import CHECKOUT, SMALL, Study, copy_checkout

from affectflow.demo.corpus import generate, write_corpus
from affectflow.demo.plan import plan_corpus

SIZES = {"Train": 5482, "Validation": 1720, "Test": 1866}
SUBJECTS = {"Train": 70, "Validation": 21, "Test": 21}
HEADER = "ClipID,Boredom,Engagement,Confusion,Frustration \n"


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen clips of the demo corpus: three training subjects, one to validate, two to test."""
    root = tmp_path_factory.mktemp("small") / "corpus"
    sizes = {"Train": 3, "Validation": 1, "Test": 2}
    plan = plan_corpus(1)
    subjects = {
        split: sorted({clip.subject for clip in plan if clip.split == split})[:size]
        for split, size in sizes.items()
    }
    clips = [clip for clip in plan if clip.subject in subjects[clip.split]]
    chosen = [clip for clip in clips if clip.name[6:10] in ("0001", "0002")]
    write_corpus(chosen, root, 1, 2)
    return root


@pytest.fixture(scope="session")
def finished(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that ran to its end. Copy it before changing anything."""
    top = tmp_path_factory.mktemp("finished")
    folder = top / "folder"
    # The corpus lies in the study's folder, so that a copy of the study has one of its own.
    shutil.copytree(small_corpus, folder / "corpus")
    config = {**SMALL, "dataset": {"root": "corpus"}}
    study = Study(copy_checkout(top / "checkout"), folder, config)
    run = study.run()
    assert run.code == 0, run.out
    return study


@pytest.fixture(scope="session")
def demo_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's videos and labels."""
    root = tmp_path_factory.mktemp("demo_corpus") / "corpus"
    generate(root)
    return root


@pytest.fixture(scope="session")
def demo(demo_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the demo."""
    folder = tmp_path_factory.mktemp("demo")
    run = Study(CHECKOUT, folder, {"dataset": {"root": str(demo_corpus)}}).run()
    assert run.code == 0, run.out
    return folder / "results"


@pytest.fixture
def daisee(tmp_path: Path) -> Path:
    """9,068 clips of 112 subjects; the videos are empty files."""
    root = tmp_path / "DAiSEE"
    (root / "Labels").mkdir(parents=True)
    for i, (split, size) in enumerate(SIZES.items(), start=1):
        rows = []
        for n in range(size):
            subject = f"{i}{n % SUBJECTS[split]:05d}"
            clip = f"{subject}{n:04d}"
            folder = root / "DataSet" / split / subject / clip
            folder.mkdir(parents=True)
            (folder / f"{clip}.avi").touch()
            rows.append(f"{clip}.avi,0,2,0,0\n")
        (root / "Labels" / f"{split}Labels.csv").write_text(HEADER + "".join(rows))
    return root
