"""A video that is replaced by another is found by its content, whatever its name, size and time."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from study import SMALL, Study

from affectflow.dataset.index import shard_of


@pytest.fixture
def study(finished: Study, tmp_path: Path) -> Study:
    """A copy of the finished study in a fresh clone."""
    return finished.copy(tmp_path)


def a_video(study: Study) -> Path:
    return min((study.folder / "corpus" / "DataSet" / "Train").rglob("*.*"))


def replace_by_another(video: Path) -> None:
    """Another content of the same size, as of a file from an archive: older than the one before."""
    content, time = bytearray(video.read_bytes()), video.stat().st_mtime_ns
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    assert content != video.read_bytes()
    video.write_bytes(content)
    os.utime(video, ns=(time, time - 10**12))


def extracted(study: Study) -> set[str]:
    rules = ("extract_frames", "detect_faces")
    return {wildcards for rule, wildcards in study.plan().jobs if rule in rules}


def test_a_replaced_video_reruns_its_shard(study: Study) -> None:
    video = a_video(study)
    original = video.read_bytes()
    shard = f"shard={shard_of(video.stem, SMALL['shards']):03d}"
    state = sorted((path, path.stat().st_mtime_ns) for path in study.folder.rglob("*.json"))

    replace_by_another(video)
    assert extracted(study) == {shard}
    # A dry run writes nothing.
    assert state == sorted((path, path.stat().st_mtime_ns) for path in study.folder.rglob("*.json"))
    run = study.run()
    assert run.code == 0, run.out
    assert {w for r, w in run.jobs if r == "extract_frames"} == {shard}
    assert "Nothing to be done" in study.plan().out
    os.utime(video)
    assert "Nothing to be done" in study.plan().out

    video.write_bytes(original)
    assert extracted(study) == {shard}


def test_touched_and_copied_videos_rerun_nothing(study: Study) -> None:
    # The copy of the study's corpus was made with new files already.
    for video in (study.folder / "corpus" / "DataSet").rglob("*.*"):
        os.utime(video)
    assert "Nothing to be done" in study.plan().out
    assert "Nothing to be done" in study.run().out


def test_without_frames_on_disk_too(study: Study) -> None:
    direct = study.with_config(frames={**SMALL["frames"], "on_disk": False})
    run = direct.run("results/embeddings/resnet18.h5")
    assert run.code == 0, run.out
    assert not extracted(direct)
    video = a_video(study)
    replace_by_another(video)
    assert extracted(direct) == {f"shard={shard_of(video.stem, SMALL['shards']):03d}"}


@pytest.mark.parametrize(
    "flags",
    [
        ("--rerun-triggers", "mtime"),
        ("--rerun-triggers", "mtime", "code", "input"),
        ("--rerun-triggers", "mtime", "params"),
        ("--drop-metadata",),
        ("--profile",),
    ],
)
def test_what_hides_changes_is_refused(
    finished: Study, flags: tuple[str, ...], tmp_path: Path
) -> None:
    if flags == ("--profile",):
        (tmp_path / "config.yaml").write_text("rerun-triggers: [mtime]\n")
        flags = ("--profile", str(tmp_path))
    run = finished.run("--dry-run", *flags)
    assert run.code != 0
    assert re.search(r"error: --(rerun-triggers|drop-metadata)", run.out), run.out
    assert "Traceback" not in run.out
    assert "Leave" in run.out


def test_all_triggers_are_as_none(finished: Study) -> None:
    flags = "params", "input", "code", "mtime", "software-env"
    assert "Nothing to be done" in finished.plan("--rerun-triggers", *flags).out
