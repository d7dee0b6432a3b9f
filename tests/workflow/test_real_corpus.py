"""Real people's videos in DAiSEE's layout, bad files among them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from study import CHECKOUT, Study

# At 30 frames per clip. The first three are stock MTCNN's; it finds a face in every other frame.
COVERAGE = {"4100011001": 0.47, "3100011001": 0.23, "4100031001": 0.00}
UNDECODABLE = {"4100051001", "4100051003"}


@pytest.fixture(scope="module")
def results(real_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    config = {
        "dataset": {"root": str(real_corpus)},
        "frames": {"per_clip": 30},
        "experiments": {"lstm": {"backbone": "resnet18", "epochs": 2}},
    }
    run = Study(CHECKOUT, folder, config).run()
    assert run.code == 0, run.out
    return folder / "results"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_audit_names_every_bad_file(results: Path) -> None:
    found = {(row["clip_id"], row["status"]) for row in read(results / "dataset" / "audit.csv")}
    assert found == {
        ("2100011003", "unlabelled"),
        ("2100011099", "no_video"),
        ("3100011001", "few_faces"),
        ("4100011001", "few_faces"),
        ("4100031001", "no_face"),
        ("4100051001", "undecodable"),
        ("4100051002", "truncated"),
        ("4100051003", "undecodable"),
    }


def test_face_coverage_is_stock_mtcnns(results: Path) -> None:
    rows = read(results / "dataset" / "coverage.csv")
    assert len(rows) == 15
    for row in rows:
        if row["clip_id"] in UNDECODABLE:
            assert row["coverage"] == ""
        else:
            expected = COVERAGE.get(row["clip_id"], 1.0)
            assert float(row["coverage"]) == pytest.approx(expected, abs=0.03), row["clip_id"]


def test_scored_of_labelled(results: Path) -> None:
    """Two undecodable clips and one without a face are labelled, and not scored."""
    rows = read(results / "tables" / "results.csv")
    counts = {(row["n_scored"], row["n_labelled"]) for row in rows if row["split"] == "test"}
    assert counts == {("4", "7")}


def test_predictions_cover_what_is_unlabelled_too(results: Path) -> None:
    rows = read(results / "experiments" / "lstm" / "predictions.csv")
    labels = {row["clip_id"]: row["label"] for row in rows}
    assert labels["2100011003"] == ""
    assert "2100011099" not in labels
