"""What reruns after a change, and what does not: the promise that saves users their GPU hours."""

from __future__ import annotations

import json
import os
import shutil
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import pages_of
from study import SMALL, Study

from affectflow.dataset.index import shard_of
from affectflow.dataset.layouts import daisee
from affectflow.shards.embeddings import open_joined
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import open_complete

AFTER_TRAINING = {
    "evaluate", "tables", "compare", "report",
    "draw_confusion", "draw_history", "draw_overview",
}  # fmt: skip
AFTER_EMBEDDING = {"join", "draw_similarity", "find_leaks", "train", *AFTER_TRAINING}
AFTER_FACES = {"audit", "embed", *AFTER_EMBEDDING}


@pytest.fixture
def study(finished: Study, tmp_path: Path) -> Study:
    """A copy of the finished study in a fresh clone."""
    return finished.copy(tmp_path)


def test_finished_study_has_nothing_to_do(finished: Study) -> None:
    assert "Nothing to be done" in finished.plan().out


def test_fresh_clone_elsewhere_reruns_nothing(study: Study) -> None:
    assert "Nothing to be done" in study.plan().out


def test_touched_files_rerun_nothing(study: Study) -> None:
    for file in study.checkout.rglob("*.*"):
        os.utime(file)
    assert "Nothing to be done" in study.plan().out


def test_comments_and_docstrings_rerun_nothing(study: Study) -> None:
    study.edit("src/affectflow/faces/follow.py", '"""', '"""Edited. ')
    study.edit("src/affectflow/training/fit.py", "import logging", "import logging  # a comment")
    assert "Nothing to be done" in study.plan().out


def test_edited_training_reruns_training_and_what_follows(study: Study) -> None:
    study.edit("src/affectflow/training/fit.py", "eps=1e-7", "eps=1e-6")
    assert study.plan().rules - {"all"} == {"train", *AFTER_TRAINING}


def test_edited_face_detection_reruns_faces_and_what_follows(study: Study) -> None:
    study.edit(
        "src/affectflow/faces/follow.py", "import numpy as np", "import numpy as np\n\nX = 1"
    )
    # Frames are temporary: they are extracted again for the faces' sake.
    assert study.plan().rules - {"all"} == {"extract_frames", "detect_faces", *AFTER_FACES}


def test_edited_script_reruns_its_rule(study: Study) -> None:
    study.edit("workflow/scripts/draw_levels.py", "run(parser, main)", "X = 1\nrun(parser, main)")
    assert study.plan().rules - {"all"} == {"draw_levels", "report"}


def test_edited_backbone_reruns_that_backbone(study: Study) -> None:
    study.edit("src/affectflow/backbones/models/inception_resnet_v1.py", "size=160", "size=161")
    assert "Nothing to be done" in study.plan().out
    study.edit("src/affectflow/backbones/models/resnet18.py", "size=224", "size=223")
    assert study.plan().rules - {"all"} == {"weights", *AFTER_FACES} - {"audit"}


def test_what_is_said_of_the_people_is_the_data_sets_own(study: Study) -> None:
    """The demo has no people; DAiSEE, whose layout it has, does."""
    report = study.folder / "results" / "report.html"
    said = "\n".join(pages_of(report))
    assert "Nobody took part" in said
    for word in ("Asian", "crowd votes", "Published", "(Figure", "issertation"):
        assert word not in said, word
    (study.folder / "corpus" / "about.txt").unlink()
    pages = {"tables", "compare", "draw_overview", "report"}
    assert study.plan().rules - {"all"} == pages
    run = study.run()
    assert run.code == 0, run.out
    said = "\n".join(pages_of(report))
    assert "Nobody took part" not in said
    assert said.count("80 of 112 are male") >= 3, "the report and two of its pages"
    results = (study.folder / "results" / "tables" / "results.html").read_text()
    assert all(escape(sentence) in results for sentence in daisee.ABOUT)


def test_changed_experiment_reruns_that_experiment(study: Study) -> None:
    experiments = {**SMALL["experiments"]}
    experiments["other"] = {**experiments["other"], "learning_rate": 0.002}
    jobs = study.with_config(experiments=experiments).plan().jobs
    assert {wildcards for rule, wildcards in jobs if rule == "train"} == {"experiment=other"}
    assert {rule for rule, _ in jobs} - {"all"} == {"train", *AFTER_TRAINING}
    assert ("evaluate", "experiment=lstm") not in jobs


def test_shards_embedded_together_give_the_same_embeddings(study: Study) -> None:
    def embeddings() -> tuple[list[str], np.ndarray, np.ndarray]:
        path = study.folder / "results" / "embeddings" / "resnet18.h5"
        with open_joined(path) as (embedding, mask, clips):
            return clips, embedding[:], mask[:]

    before, predictions = embeddings(), study.predictions()
    run = study.with_config(shards_per_embedding=2).run()
    assert run.code == 0, run.out
    assert run.rules - {"all"} == AFTER_FACES - {"audit"}
    assert len([rule for rule, _ in run.jobs if rule == "embed"]) == 2
    for old, new in zip(before, embeddings(), strict=True):
        assert np.array_equal(old, new)
    assert study.predictions() == predictions


def test_frames_need_not_lie_on_disk(study: Study) -> None:
    """The same faces, but for what JPEG does to small details."""

    def faces() -> dict[str, np.ndarray]:
        found: dict[str, list[np.ndarray]] = {"box": [], "mask": [], "frame_index": []}
        for path in sorted((study.folder / "results" / "faces").glob("*.h5")):
            with open_complete(path, FACES) as file:
                for name, own in found.items():
                    own.append(file[name][:])
        return {name: np.concatenate(own) for name, own in found.items()}

    before = faces()
    frames = {**SMALL.get("frames", {}), "on_disk": False}
    run = study.with_config(frames=frames).run()
    assert run.code == 0, run.out
    assert run.rules - {"all"} == {"detect_faces", *AFTER_FACES}
    after = faces()
    assert np.array_equal(before["frame_index"], after["frame_index"])
    assert (before["mask"] == after["mask"]).mean() > 0.99
    seen = before["mask"] & after["mask"]
    sides = np.ptp(before["box"][seen].reshape(-1, 2, 2), axis=1).mean(1)
    moved = np.abs(before["box"][seen] - after["box"][seen]).max(1) / sides
    assert np.median(moved) < 0.03
    assert not [*(study.folder / "results" / "frames").glob("*")]


def test_a_fused_experiment_trains_nothing(study: Study) -> None:
    experiments = {**SMALL["experiments"], "both": {"fuse": ["lstm", "other"]}}
    run = study.with_config(experiments=experiments).run()
    assert run.code == 0, run.out
    assert run.rules - {"all"} == {"fuse", *AFTER_TRAINING} - {"draw_history"}
    assert ("evaluate", "experiment=both") in run.jobs
    assert ("evaluate", "experiment=lstm") not in run.jobs
    results = (study.folder / "results" / "tables" / "results.csv").read_text()
    assert "\nboth,test,engagement,kappa," in results


def test_another_seed_trains_that_run_only(study: Study) -> None:
    twice = {"again": {**SMALL["experiments"]["other"], "seed": [5, 6]}}
    first = study.with_config(experiments={**SMALL["experiments"], **twice})
    run = first.run()
    assert run.code == 0, run.out
    trained = {wildcards for rule, wildcards in run.jobs if rule == "train"}
    assert trained == {"experiment=again-seed_5", "experiment=again-seed_6"}
    spread = (study.folder / "results" / "tables" / "spread.csv").read_text()
    assert "\nagain,test,engagement,kappa," in spread
    more = {"again": {**twice["again"], "seed": [5, 6, 7]}}
    planned = study.with_config(experiments={**SMALL["experiments"], **more}).plan()
    assert {w for r, w in planned.jobs if r == "train"} == {"experiment=again-seed_7"}


def test_a_tuned_backbone_is_an_experiment_like_others(study: Study) -> None:
    """From crops and weights; what it predicts is scored, compared and drawn as ever."""
    tuned = {
        "backbone": "resnet18",
        "fine_tune": "last",
        "frames": 2,
        "epochs": 2,
        "batch_size": 4,
        "lstm_units": [4, 4],
        "fc_units": [4, 4],
    }

    def changed(**keys: Any) -> Study:
        experiments = {**SMALL["experiments"], "tuned": {**tuned, **keys}}
        experiments["both"] = {"fuse": ["lstm", "tuned"]}
        return study.with_config(experiments=experiments)

    first = changed()
    run = first.run()
    assert run.code == 0, run.out
    assert run.rules - {"all"} == {"fine_tune", "fuse", *AFTER_TRAINING}
    assert {w for r, w in run.jobs if r == "draw_history"} == {"experiment=tuned"}
    folder = study.folder / "results" / "experiments" / "tuned"
    assert json.loads((folder / "model.json").read_text())["fine_tune"] == "last"
    assert not (folder / "checkpoint.pt").exists()
    assert first.predictions("tuned").count(b"\n") == first.predictions("lstm").count(b"\n")
    results = (study.folder / "results" / "tables" / "results.csv").read_text()
    assert "\ntuned,test,engagement,kappa," in results
    assert "Nothing to be done" in first.plan().out

    slower = changed(backbone_learning_rate=1e-6).plan()
    assert {job for job in slower.jobs if job[0] in ("train", "fine_tune")} == {
        ("fine_tune", "experiment=tuned")
    }
    assert slower.rules - {"all"} == {"fine_tune", "fuse", *AFTER_TRAINING}
    assert ("evaluate", "experiment=lstm") not in slower.jobs

    # Neither of the two ways to train is part of the other's code.
    study.edit("src/affectflow/training/tuned_model.py", "CHUNK = 32", "CHUNK = 16")
    assert first.plan().rules - {"all"} == {"fine_tune", "fuse", *AFTER_TRAINING}
    study.edit("src/affectflow/training/tuned_model.py", "CHUNK = 16", "CHUNK = 32")
    study.edit("src/affectflow/training/run.py", "import logging", "import logging\n\nX = 1")
    assert ("fine_tune", "experiment=tuned") not in first.plan().jobs


def test_new_backbone_only_adds(study: Study) -> None:
    backbones = {"resnet18": {"weights": "random"}, "inception_resnet_v1": {"weights": "random"}}
    jobs = study.with_config(backbones=backbones).plan().jobs
    assert {rule for rule, _ in jobs} - {"all"} == {
        "weights", "embed", "join", "draw_similarity", "find_leaks", "report",
    }  # fmt: skip
    assert all("resnet18" not in wildcards for _, wildcards in jobs)


def test_edited_decoding_reruns_frames_and_what_follows(study: Study) -> None:
    study.edit("src/affectflow/video/decode.py", "import av", "import av\n\nX = 1")
    assert study.plan().rules - {"all"} == {"extract_frames", "detect_faces", *AFTER_FACES}


def test_other_frames_rerun_frames_and_what_follows(study: Study) -> None:
    planned = study.with_config(frames={"per_clip": 5}).plan()
    assert planned.rules - {"all"} == {"extract_frames", "detect_faces", *AFTER_FACES}


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("dataset/clips.csv", "index_dataset"),
        ("faces/shard-001.h5", "detect_faces"),
        ("weights/resnet18.safetensors", "weights"),
        ("embeddings/resnet18/shard-001.h5", "embed"),
        ("experiments/lstm/predictions.csv", "train"),
        ("experiments/lstm/model.safetensors", "train"),
    ],
)
def test_missing_result_is_made_again(study: Study, file: str, rule: str) -> None:
    """Snakemake removes the outputs of a killed job: what follows from them must not stay."""
    (study.folder / "results" / file).unlink()
    assert {rule, "report"} <= study.plan().rules


def test_device_and_folder_of_the_videos_are_no_reason(study: Study) -> None:
    shutil.move(study.folder / "corpus", study.folder / "moved")
    moved = study.with_config(device="cpu", dataset={"root": "moved"}).plan()
    # The report alone: it shows the config.
    assert moved.rules - {"all"} == {"report"}


def test_changed_label_leaves_faces_alone(study: Study) -> None:
    labels = study.folder / "corpus" / "Labels" / "TrainLabels.csv"
    header, first, *rest = labels.read_text().splitlines()
    clip, *levels = first.split(",")
    other = ",".join([clip, *(str(3 - int(level)) for level in levels)])
    labels.write_text("\n".join([header, other, *rest]) + "\n")
    planned = study.plan().rules
    assert {"index_dataset", "train", "draw_levels"} <= planned
    assert not planned & {"extract_frames", "detect_faces", "embed", "join"}


@pytest.mark.parametrize(
    ("rule", "job"),
    [
        ("extract_frames", "extract_frames:shard=000"),
        ("embed", "embed:backbone=resnet18,shard=000"),
        ("train", "train:experiment=lstm"),
    ],
)
def test_a_job_on_a_node_makes_its_own_files_only(finished: Study, rule: str, job: str) -> None:
    """As the executor for clusters starts it there."""
    there = "--mode", "remote", "--force", "--allowed-rules", rule, "--target-jobs", job
    assert finished.plan(*there).rules == {rule}


def test_new_clip_runs_its_shard_only(study: Study) -> None:
    subject = next((study.folder / "corpus" / "DataSet" / "Train").iterdir())
    video = next(path for path in subject.rglob("*.*") if path.is_file())
    clip = f"{subject.name}0777"
    (subject / clip).mkdir()
    shutil.copyfile(video, subject / clip / f"{clip}{video.suffix}")
    labels = study.folder / "corpus" / "Labels" / "TrainLabels.csv"
    labels.write_text(labels.read_text() + f"{clip}{video.suffix},0,2,0,0\n")
    shard = f"shard={shard_of(clip, SMALL['shards']):03d}"

    run = study.run()
    assert run.code == 0, run.out
    for rule in ("extract_frames", "detect_faces"):
        assert {w for r, w in run.jobs if r == rule} == {shard}
    assert {w for r, w in run.jobs if r == "embed"} == {f"backbone=resnet18, {shard}"}
    assert "train" in run.rules
    assert clip.encode() in study.predictions()
    assert "Nothing to be done" in study.plan().out
