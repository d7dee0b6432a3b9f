"""The demo, as `make demo` runs it: planted levels are recovered, permuted ones are not."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

STATES = ("boredom", "engagement", "confusion", "frustration")


def scores(results: Path, experiment: str, split: str = "test") -> dict[str, Any]:
    path = results / "experiments" / experiment / "metrics.json"
    return json.loads(path.read_text())["splits"][split]


def value(scored: dict[str, Any], metric: str) -> float:
    return scored["metrics"][metric]["value"]


def test_planted_levels_are_recovered_on_unseen_subjects(demo: Path) -> None:
    found = scores(demo, "lstm")
    assert value(found["engagement"], "kappa") >= 0.6
    for state in STATES:
        assert value(found[state], "macro_f1") > value(found[state], "floor_macro_f1"), state


def test_permuted_labels_are_not(demo: Path) -> None:
    found = scores(demo, "lstm_permuted")
    assert abs(value(found["engagement"], "kappa")) <= 0.25
    assert found["engagement"]["n_scored"] >= 24


def test_every_number_says_how_many_were_scored(demo: Path) -> None:
    with (demo / "tables" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "experiment", "split", "state", "metric", "value", "ci_low", "ci_high",
        "ci_warning", "p_floor", "n_scored", "n_labelled",
    ]  # fmt: skip
    test = [row for row in rows if row["split"] == "test"]
    assert all(int(row["n_scored"]) <= int(row["n_labelled"]) for row in rows)
    assert any(int(row["n_scored"]) < int(row["n_labelled"]) for row in test), "a file is broken"


def test_audit_names_what_is_wrong_with_the_corpus(demo: Path) -> None:
    with (demo / "dataset" / "audit.csv").open(newline="") as file:
        statuses = {row["status"] for row in csv.DictReader(file)}
    assert {"unlabelled", "no_video", "undecodable", "truncated"} <= statuses


def test_frames_are_gone_and_results_are_private(demo: Path) -> None:
    assert not list(demo.glob("frames/*"))
    for path in demo.rglob("*"):
        assert not path.stat().st_mode & 0o077, f"{path} can be read by others"


def test_report_stands_alone_and_says_that_weights_are_random(demo: Path) -> None:
    report = (demo / "report.html").read_text()
    for figure in ("levels.svg", "resnet18.svg", "lstm.svg", "overview.svg", "results.html"):
        assert figure in report, figure
    assert "mean nothing about people" in report
