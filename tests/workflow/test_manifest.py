"""Somebody's own videos: a table, other tasks, no validation split, frames per second."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from report_pages import pages_of
from study import SMALL, Study, copy_checkout

from affectflow.dataset.layouts import manifest
from affectflow.errors import UserError

# What somebody might put into a table to do harm, or by mistake.
HOSTILE = [
    "../../../climbed",
    "/climbed",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '" ; touch pwned #',
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{wildcards.shard}",
    "x" * 300,
    "-rf",
]


ABOUT = "Ten people of <b>one</b> village; they labelled themselves."


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
                "clip_id": ["0000", *HOSTILE][n],
                "subject": f"{video.parent.parent.name}{HOSTILE[n % len(HOSTILE)][:30]}"
                if split == "train"
                else video.parent.parent.name,
                "split": split,
                "path": str(video.relative_to(small_corpus)),
                "1": "" if n == 0 else f"{n % 3}.0",
                "<b>$(touch pwned)": ("home", "<i>school")[n % 2],
            }
        )
    # A label without a video: it comes into the audit.
    rows += [{**rows[-1], "clip_id": f"{name} lost", "path": "none.avi"} for name in HOSTILE]
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    config = {
        **SMALL,
        "dataset": {
            "layout": "manifest",
            "clips": "clips.csv",
            "root": str(small_corpus),
            "about": ABOUT,
        },
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
        ("<b>$(touch pwned)", "nominal", ["<i>school", "home"]),
    ]


def test_every_clip_is_predicted_under_its_own_name(results: Path) -> None:
    with (results / "experiments" / "tiny" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["task"] for row in rows} == {"1", "<b>$(touch pwned)"}
    assert "0000" in {row["clip_id"] for row in rows}, "leading zeros are kept"
    unlabelled = [row for row in rows if row["clip_id"] == "0000" and row["task"] == "1"]
    assert [row["label"] for row in unlabelled] == [""]


def test_kappa_is_for_ordinal_tasks(results: Path) -> None:
    test = json.loads((results / "experiments" / "tiny" / "metrics.json").read_text())["splits"]
    assert "kappa" in test["test"]["1"]["metrics"]
    assert "kappa" not in test["test"]["<b>$(touch pwned)"]["metrics"]
    assert "validation" not in test


def test_names_run_nothing_and_climb_nowhere(results: Path) -> None:
    everything = [path.name for path in results.parents[1].rglob("*")]
    assert "pwned" not in everything
    assert not any("climbed" in name for name in everything)
    assert not Path("/climbed").exists()
    with (results / "experiments" / "tiny" / "predictions.csv").open(newline="") as file:
        assert {row["clip_id"] for row in csv.DictReader(file)} >= set(HOSTILE)


def test_names_put_nothing_into_pages(results: Path) -> None:
    pages = [*results.rglob("*.html"), *results.rglob("*.svg")]
    assert len(pages) >= 6
    for page in pages:
        for one in pages_of(page):
            for tag in ("<script>alert", "<img src=x", "<b>$(", "<i>school"):
                assert tag not in one, f"{page.name}: {tag}"
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt; lost"
        in (results / "tables" / "audit.html").read_text()
    )


def test_the_report_says_of_people_what_is_true_of_these(results: Path) -> None:
    everything = "\n".join(pages_of(results / "report.html"))
    for word in (
        "Asian",
        "crowd vote",
        "DAiSEE's",
        "issertation",
        "Published",
        "(Figure",
        "Table 4",
    ):
        assert word not in everything, word
    assert "EU AI Act" in everything
    said = ABOUT.replace("<", "&lt;").replace(">", "&gt;")
    for name in ("results.html", "comparisons.html"):
        assert said in (results / "tables" / name).read_text()
    assert "Ten people of" in (results / "report.html").read_text()
    assert not (results / "tables" / "published.html").exists()


def test_a_path_that_leads_out_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "secret.avi").touch()
    for path in ("../secret.avi", "a/../../secret.avi", str(tmp_path / "secret.avi")):
        (tmp_path / "clips.csv").write_text(
            f"clip_id,subject,split,path,task\na,s,train,{path},1\n"
        )
        settings = {"clips": str(tmp_path / "clips.csv"), "root": str(tmp_path / "videos")}
        with pytest.raises(UserError, match="leads out of"):
            manifest.read(settings)
