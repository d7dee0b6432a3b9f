"""What a plan says, from jobs and an index that are made up."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.config.experiments import Experiments
from affectflow.config.study import Study
from affectflow.dataset.index import Clip, Index, shard_of
from affectflow.dataset.tasks import Task
from affectflow.joblog import JobLog, done_line, frames_line
from affectflow.planning.advice import warnings
from affectflow.planning.disk import Usage, new_entries, usage
from affectflow.planning.estimate import Plan, make_plan
from affectflow.planning.jobs import Job, Place
from affectflow.planning.rates import DEFAULTS, Rates, expected_device, measured_rate, read_logs
from affectflow.planning.sizes import embedding_bytes, frame_bytes, weights_bytes
from affectflow.planning.text import amount, describe, duration
from affectflow.planning.work import count_work

FAR = 1e18
RULES_OF_TRAINING = ("train", "train_pooled")
CLUSTER = Place(cluster=True, frames_on_disk=2, limited_by="frames_on_disk")


def clips(number: int, shards: int, size: int = 1_250_000) -> list[Clip]:
    return [
        Clip(f"c{i}", "s", "train", f"c{i}.avi", shard_of(f"c{i}", shards), {"t": 1}, "ok", size)
        for i in range(number)
    ]


def jobs(shards: int, together: int = 1) -> Iterator[Job]:
    """Every job with a time of its own, and one without."""
    for shard in (f"{i:03d}" for i in range(shards)):
        own = {"shard": shard}
        yield Job("extract_frames", own, (f"results/frames/shard-{shard}.h5",))
        yield Job("detect_faces", own, (f"results/faces/shard-{shard}.h5",))
    for shard in (f"{i:03d}" for i in range(math.ceil(shards / together))):
        own = {"shard": shard}
        out = f"results/embeddings/resnet18/shard-{shard}.h5"
        yield Job("embed", {"backbone": "resnet18", **own}, (out,))
    yield Job("train", {"experiment": "e"}, ("results/experiments/e/model.safetensors",))
    yield Job("report", {}, ("results/report.html",), ("logs/report.log",))


def plan(
    folder: Path,
    number: int = 100,
    shards: int = 4,
    place: Place = CLUSTER,
    left: list[Job] | None = None,
    experiments: dict[str, Any] | None = None,
    **changes: Any,
) -> Plan:
    settings: dict[str, Any] = {
        "frames": {"per_clip": 10, "jpeg_quality": 95},
        "faces": {"min_size": 60, "crop_size": 224},
        "backbones": {"resnet18": {"weights": "random"}},
        "shards": shards,
        "shards_per_embedding": 1,
        "device": "auto",
    }
    one = {"e": {"backbone": "resnet18", "training": {"frames": None, "epochs": 5}}}
    index = Index(folder, [Task("t", "ordinal", ("0", "1"))], clips(number, shards), [])
    study = Study(settings | changes, Experiments(experiments or one))
    together = study.settings["shards_per_embedding"]
    todo = list(jobs(shards, together)) if left is None else left
    return make_plan(todo, study, index, place, folder)


@given(number=st.integers(1, 200), shards=st.integers(1, 20), limit=st.integers(1, 25))
def test_totals_add_up(number: int, shards: int, limit: int) -> None:
    found = plan(Path("nowhere"), number, shards, replace(CLUSTER, frames_on_disk=limit))
    assert sum(row.jobs for row in found.rows) == 3 * shards + 2
    assert found.work.frames == number * 10
    hours = sum(row.hours for row in found.rows)
    assert found.gpu_hours + found.cpu_hours == pytest.approx(hours)
    assert found.peak.bytes == found.final.bytes + found.temporary
    assert found.temporary <= sum(found.frames_at_once)
    assert found.shards_at_once == min(limit, shards)
    assert found.final.files > 3 * shards, "files, records, folders; no frames"


@given(few=st.integers(1, 400), more=st.integers(0, 400), number=st.integers(1, 50))
def test_more_frames_never_cost_less(few: int, more: int, number: int) -> None:
    small, large = (
        plan(Path("nowhere"), number, frames={"per_clip": n}) for n in (few, few + more)
    )
    for name in ("gpu_hours", "cpu_hours", "temporary"):
        assert getattr(large, name) >= getattr(small, name)
    assert large.final.bytes >= small.final.bytes
    assert large.final.files == small.final.files


@given(st.integers(1, 99))
def test_better_jpeg_is_never_smaller(quality: int) -> None:
    assert frame_bytes(quality) <= frame_bytes(quality + 1)


@given(st.floats(0, 1e7), st.floats(0, 1e14))
def test_every_line_fits_a_terminal(seconds: float, size: float) -> None:
    assert len(duration(seconds)) <= 11
    assert len(amount(size)) <= 12


def test_text_is_ascii_and_warnings_stand_last(tmp_path: Path) -> None:
    lines = describe(plan(tmp_path), ["one " * 40, "two"]).splitlines()
    assert all(line.isascii() and len(line) <= 80 for line in lines)
    assert lines[-1] == "warning: two"
    assert "assumed" in "\n".join(lines)


def test_nothing_to_do(tmp_path: Path) -> None:
    found = plan(tmp_path, left=[])
    assert "Nothing to do" in describe(found, [])
    assert found.peak == found.now == found.final == Usage()


def test_without_a_limit_all_frames_may_be_there_at_once(tmp_path: Path) -> None:
    found = plan(tmp_path, place=Place())
    assert found.temporary == sum(found.frames_at_once)


def test_fewer_frames_at_once_fit_a_quota(tmp_path: Path) -> None:
    found = plan(tmp_path, 1000)
    one = found.final.bytes + found.frames_at_once[0]
    assert warnings(found, {"gigabytes": found.peak.bytes / 1e9, "files": None}, FAR) == []
    (tight,) = warnings(found, {"gigabytes": one / 1e9 + 1e-6}, FAR)
    assert "--resources frames_on_disk=1)" in tight
    (results,) = warnings(found, {"gigabytes": found.final.bytes / 2e9}, FAR)
    assert "results alone" in results


def test_quota_of_files_and_a_full_disk(tmp_path: Path) -> None:
    found = plan(tmp_path)
    (files,) = warnings(found, {"files": 5}, FAR)
    assert "quota.files is 5" in files
    (full,) = warnings(found, {}, 1000.0)
    assert full.startswith("1 kB are free")


def test_jobs_too_short_for_a_queue(tmp_path: Path) -> None:
    faces, embed = warnings(plan(tmp_path, 10_000, 64, frames={"per_clip": 100}), {}, FAR)
    assert "shards: 2 to 11 would" in faces
    assert "shards_per_embedding: 64 would" in embed
    fits = {"frames": {"per_clip": 100}, "shards_per_embedding": 11}
    assert warnings(plan(tmp_path, 10_000, 11, **fits), {}, FAR) == []
    assert warnings(plan(tmp_path, 10, 4), {}, FAR) == [], "a small study"
    local = plan(tmp_path, 10_000, 64, Place(), frames={"per_clip": 100})
    assert warnings(local, {}, FAR) == [], "there is no queue"


@pytest.mark.parametrize("together", [1, 3])
def test_advice_on_embedding_helps(tmp_path: Path, together: int) -> None:
    def advice(together: int) -> list[str]:
        fits = {"frames": {"per_clip": 300}, "shards_per_embedding": together}
        return warnings(plan(tmp_path, 9_068, 20, **fits), {}, FAR)

    (text,) = advice(together)
    least, most = map(int, re.search(r"shards_per_embedding: (\d+) to (\d+)", text).groups())
    assert least < most
    assert all(advice(n) == [] for n in range(least, most + 1))
    assert advice(least - 1)


def test_job_beyond_its_runtime(tmp_path: Path) -> None:
    place = replace(CLUSTER, runtimes={"detect_faces": 1, "embed": 1000})
    fits = {"frames": {"per_clip": 100}, "shards_per_embedding": 11}
    found = plan(tmp_path, 10_000, 11, place, **fits)
    (late,) = warnings(found, {}, FAR)
    assert "longest job of detect_faces" in late
    assert re.search(r"`runtime: \d+` for detect_faces", late)


def write_log(folder: Path, name: str, frames: int, seconds: float, device: str = "cpu") -> None:
    log = folder / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"{frames_line(frames, seconds, device, frames)}\n{done_line(seconds, 100)}\n")


def test_rates_measured_in_the_study(tmp_path: Path) -> None:
    write_log(tmp_path, "detect_faces/shard-000", 1000, 20)
    write_log(tmp_path, "detect_faces/shard-001", 3000, 20)
    write_log(tmp_path, "detect_faces/shard-002", 9000, 20, "cuda")
    write_log(tmp_path, "embed/resnet18/shard-000", 5, 0.1)
    logs = {rule: read_logs(tmp_path, rule) for rule in ("detect_faces", "embed")}
    rates = Rates({"train": 5.0, "embed": None}, logs, "cpu")
    assert rates.of("detect_faces").per_second == pytest.approx(100)
    assert Rates({}, logs, "cuda").of("detect_faces").per_second == pytest.approx(450)
    default = DEFAULTS["embed", "cpu"][0]
    assert rates.of("embed", "resnet18").per_second == default, "a moment's work tells nothing"
    assert rates.of("train").per_second == 5
    assert Rates({}, {}, "cpu", min_size=20).of("detect_faces").per_second == 20
    assert set(rates.used) == {"detect_faces", "embed resnet18", "train"}
    assert measured_rate([], "cpu") is None


def test_training_measured_in_the_study(tmp_path: Path) -> None:
    """Of the epochs that were trained, however many were allowed."""
    log = tmp_path / "logs" / "train" / "e.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"{done_line(20, 100)}\n")
    history = tmp_path / "results" / "experiments" / "e" / "history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("epoch,loss\n1,0.5\n2,0.4\n")
    experiment = {"backbone": "resnet18", "training": {"frames": None, "epochs": 5}}
    left = [Job("train", {"experiment": "new"}, ("results/experiments/new/model.safetensors",))]
    both = {"e": experiment, "new": experiment}
    found = plan(tmp_path, left=left, place=Place(), experiments=both)
    (row,) = found.rows
    assert row.seconds == (pytest.approx(10 + 20 * 5 / 2),)
    assert "measured in this study" in describe(found, [])
    again = plan(tmp_path, left=[*left, *jobs(4)], place=Place(), experiments=both)
    assert "measured in this study" not in describe(again, []), "e is to be trained again"


def test_a_tuned_backbone_takes_longer_and_is_kept(tmp_path: Path) -> None:
    training = {"frames": 4, "epochs": 3}
    both = {
        "e": {"backbone": "resnet18", "training": training},
        "t": {"backbone": "resnet18", "training": training | {"fine_tune": "last"}},
    }
    left = [Job("train", {"experiment": "e"}), Job("fine_tune", {"experiment": "t"})]
    found = plan(tmp_path, left=left, place=Place(), experiments=both)
    plain, tuned = found.row("train"), found.row("fine_tune")
    assert tuned.seconds == (pytest.approx(10 + 100 * 4 * 3 / DEFAULTS["fine_tune", "cpu"][0]),)
    assert tuned.bytes - plain.bytes == weights_bytes("resnet18", {"weights": "random"})
    assert "fine_tune" in describe(found, [])

    log = tmp_path / "logs" / "fine_tune" / "t.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"{done_line(60, 100)}\n")
    history = tmp_path / "results" / "experiments" / "t" / "history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("epoch,loss\n1,0.5\n2,0.4\n3,0.3\n")
    both["again"] = both["t"]
    left = [Job("train", {"experiment": "e"}), Job("fine_tune", {"experiment": "again"})]
    found = plan(tmp_path, left=left, place=Place(), experiments=both)
    assert found.row("fine_tune").seconds == (pytest.approx(70),), "as the other one took"
    assert found.row("train").seconds == plain.seconds, "which says nothing of training a head"


def test_device() -> None:
    gpu = JobLog(1, 1, device="cuda")
    assert expected_device("cpu", True, [gpu]) == "cpu"
    assert expected_device("auto", True) == "cuda"
    assert expected_device("auto", False) == "cpu"
    assert expected_device("auto", False, [gpu]) == "cuda"


def test_no_gpu_hours_without_one(tmp_path: Path) -> None:
    assert plan(tmp_path, device="cpu").gpu_hours == 0


def test_pooled_heads_take_no_gpu_hours(tmp_path: Path) -> None:
    out = "results/experiments/{}/model.safetensors"
    found = plan(
        tmp_path,
        left=[Job(rule, {"experiment": "e"}, (out.format(rule),)) for rule in RULES_OF_TRAINING],
    )
    trained, pooled = (found.row(rule) for rule in RULES_OF_TRAINING)
    assert trained.device == "cuda" and pooled.device == "cpu"
    assert found.gpu_hours == trained.hours
    assert pooled.seconds == (), "among the short ones"
    assert pooled.bytes == trained.bytes > 0


def test_finished_shards_know_their_frames(tmp_path: Path) -> None:
    write_log(tmp_path, "detect_faces/shard-001", 7, 1)
    left = [job for job in jobs(4) if job.wildcards.get("shard") != "001"]
    assert plan(tmp_path, left=left).work.shards[1].frames == 7
    assert plan(tmp_path).work.shards[1].frames > 7, "its faces are to be done again"


def test_clip_lengths_from_file_sizes() -> None:
    study = clips(20, 2)
    guess = count_work(study, 2, {"per_clip": None, "fps": 10.0}, {})
    assert guess.frames == pytest.approx(20 * 100)
    assert "guessed from file sizes" in guess.basis
    seen = JobLog(1, 1, frames=3 * guess.shards[0].clips, coverage=0.5)
    known = count_work(study, 2, {"per_clip": None, "fps": 10.0}, {0: seen})
    assert known.frames == pytest.approx(20 * 3)
    assert known.shards[0].faces == pytest.approx(known.shards[0].frames / 2)
    assert count_work(clips(3, 1, 0), 1, {"fps": 10.0}, {}).frames == 0


def test_sizes_without_torch(tmp_path: Path) -> None:
    assert embedding_bytes("resnet18") == 2 * 512 + 1
    assert embedding_bytes("not written yet") == 2 * 512 + 1
    weights = tmp_path / "w.pt"
    weights.write_bytes(b"12345")
    assert weights_bytes("resnet18", {"weights": str(weights)}) == 5
    heavy = "{'torch', 'cv2', 'h5py', 'av'} & set(sys.modules)"
    program = (
        f"import sys, affectflow.planning.text, affectflow.planning.advice; assert not {heavy}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_there_is_counted_once(tmp_path: Path) -> None:
    """A result made anew takes the place of the old one."""
    report = tmp_path / "results" / "report.html"
    report.parent.mkdir()
    report.write_bytes(bytes(10_000_000))
    assert usage(tmp_path) == Usage(10_000_000, 2)
    assert new_entries(tmp_path, ["results/report.html", "results/a/b.csv"]) == 2
    left = [Job("report", {}, ("results/report.html",))]
    found = plan(tmp_path, left=left)
    assert found.final.files == found.now.files
    assert found.final.bytes < found.now.bytes


def test_without_frames_on_disk_their_size_is_not_told() -> None:
    direct = [job for job in jobs(4) if job.rule != "extract_frames"]
    nowhere = Path("nowhere")
    assert "for a frame" in describe(plan(nowhere), [])
    without = describe(plan(nowhere, left=direct), [])
    assert "for a face" in without
    assert "for a frame" not in without and "temporary disk" not in without


def test_frames_on_disk_are_removed_again(tmp_path: Path) -> None:
    frames = tmp_path / "results" / "frames" / "shard-002.h5"
    frames.parent.mkdir(parents=True)
    frames.write_bytes(bytes(5_000_000))
    left = [
        job for job in jobs(4) if (job.rule, job.wildcards.get("shard")) == ("detect_faces", "002")
    ]
    found = plan(tmp_path, left=left)
    assert found.frames_at_once == [5_000_000]
    assert found.final.bytes < 5_000_000
