"""An ordinal, a nominal and a real-valued task, beside columns that are none: a whole study."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from study import SMALL, Run, Study, copy_checkout

HEADS = {
    "lstm": {**SMALL["experiments"]["lstm"], "loss": "coral", "select_by": "ccc"},
    "ridge": {"backbone": "resnet18", "head": "pooled_ridge"},
    "both": {"fuse": ["lstm", "ridge"]},
    "swept": {"backbone": "resnet18", "head": "pooled_ridge", "ridge_alpha": [1, 10]},
    "folded": {"backbone": "resnet18", "head": "pooled_forest", "trees": 10, "folds": 3},
}
HEADS["swept"]["choose_by"] = "ccc"


@pytest.fixture(scope="module")
def study(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    top = tmp_path_factory.mktemp("mixed")
    rows = []
    videos = sorted(path for path in (small_corpus / "DataSet").rglob("*.*") if path.is_file())
    for n, video in enumerate(videos):
        split = next(
            name for name in ("Train", "Validation", "Test") if name in video.parts
        ).lower()
        rows.append(
            {
                "clip_id": f"c{n}",
                "subject": video.parent.parent.name,
                "split": split,
                "path": str(video.relative_to(small_corpus)),
                "engagement": ["0", "1", "2", "NA"][n % 4],
                "place": ["home", "Home", "school"][n % 3],
                "valence": "n/a" if n == 1 else f"{n * 0.37 - 1:.2f}",
                "notes": f"remark {n}",
            }
        )
    with (top / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    tasks = {"engagement": None, "place": None, "valence": {"kind": "real"}}
    config = {
        **SMALL,
        "dataset": {
            "layout": "manifest",
            "clips": "clips.csv",
            "root": str(small_corpus),
            "tasks": tasks,
        },
        "experiments": HEADS,
    }
    run = Study(copy_checkout(top / "checkout"), top, config).run()
    assert run.code == 0, run.out
    return top / "results", run


def test_a_run_says_what_it_understood(study: tuple[Path, Run]) -> None:
    results, run = study
    told = (results / "dataset" / "understood.txt").read_text()
    assert told in run.out
    assert run.out.count("The labels, as they were understood:") == 1
    assert "engagement: ordinal, 3 levels: 0 < 1 < 2" in told
    assert "'home' read as 'Home'" in told
    assert "valence: real-valued from" in told and "'n/a' 1" in told
    assert "notes: not a task (not named under dataset.tasks)" in told


def test_tasks_and_labels_of_all_kinds(study: tuple[Path, Run]) -> None:
    tasks = json.loads((study[0] / "dataset" / "tasks.json").read_text())
    assert [(task["name"], task["kind"]) for task in tasks] == [
        ("engagement", "ordinal"),
        ("place", "nominal"),
        ("valence", "real"),
    ]
    with (study[0] / "dataset" / "levels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["state"] == "valence"]
    assert all(row["level_0"] == "" for row in rows)
    assert all(float(row["min"]) <= float(row["mean"]) for row in rows if row["total"] != "0")


def test_every_experiment_has_numbers_and_levels(study: tuple[Path, Run]) -> None:
    for name in ("lstm", "ridge", "both", "swept", "folded"):
        folder = study[0] / "experiments" / name
        with (folder / "predictions.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["predicted"] for row in rows if row["task"] == "place"} <= {"0", "1"}
        assert any("." in row["predicted"] for row in rows if row["task"] == "valence")
        scores = json.loads((folder / "metrics.json").read_text())["splits"]["test"]
        assert {"ccc", "mae", "floor_mae", "mse", "pearson"} <= scores["valence"]["metrics"].keys()
        assert scores["valence"]["metrics"]["mae"]["value"] is not None
        assert "kappa" in scores["engagement"]["metrics"]


def test_pages_show_real_valued_states(study: tuple[Path, Run]) -> None:
    tables = study[0] / "tables"
    assert "concordance (CCC)" in (tables / "results.html").read_text()
    assert "valence" in (tables / "comparisons.html").read_text()
    for figure in ("overview.svg", "levels.svg", "confusion/lstm.svg"):
        assert (study[0] / "figures" / figure).stat().st_size > 1000
