"""Somebody's own videos: a table, other tasks, no validation split, frames per second."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from study import SMALL, Study, copy_checkout


@pytest.fixture(scope="module")
def results(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("with space")
    folder = top / "my study"
    folder.mkdir()
    rows = []
    videos = sorted(path for path in (small_corpus / "DataSet").rglob("*.*") if path.is_file())
    for n, video in enumerate(videos):
        split = "test" if "Test" in video.parts else "train"
        rows.append(
            {
                "clip_id": f"{n:04d}",
                "subject": video.parent.parent.name,
                "split": split,
                "path": str(video.relative_to(small_corpus)),
                "1": "" if n == 0 else f"{n % 3}.0",
                "place": ("home", "school")[n % 2],
            }
        )
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    config = {
        **SMALL,
        "dataset": {"layout": "manifest", "clips": "clips.csv", "root": str(small_corpus)},
        "frames": {"fps": 0.5},
        "experiments": {"tiny": {**SMALL["experiments"]["lstm"], "learning_rate": 1e-5}},
    }
    run = Study(copy_checkout(top / "check out"), folder, config).run()
    assert run.code == 0, run.out
    return folder / "results"


def test_tasks_are_the_columns(results: Path) -> None:
    tasks = json.loads((results / "dataset" / "tasks.json").read_text())
    assert [(task["name"], task["kind"], task["levels"]) for task in tasks] == [
        ("1", "ordinal", ["0", "1", "2"]),
        ("place", "nominal", ["home", "school"]),
    ]


def test_every_clip_is_predicted_under_its_own_name(results: Path) -> None:
    with (results / "experiments" / "tiny" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["task"] for row in rows} == {"1", "place"}
    assert "0000" in {row["clip_id"] for row in rows}, "leading zeros are kept"
    unlabelled = [row for row in rows if row["clip_id"] == "0000" and row["task"] == "1"]
    assert [row["label"] for row in unlabelled] == [""]


def test_kappa_is_for_ordinal_tasks(results: Path) -> None:
    test = json.loads((results / "experiments" / "tiny" / "metrics.json").read_text())["splits"]
    assert "kappa" in test["test"]["1"]["metrics"]
    assert "kappa" not in test["test"]["place"]["metrics"]
    assert "validation" not in test
