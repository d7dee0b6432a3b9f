"""A small corpus, and one full run over it, shared by the workflow tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from study import SMALL, Study, copy_checkout

from affectflow.demo.corpus import write_corpus
from affectflow.demo.plan import plan_corpus


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
