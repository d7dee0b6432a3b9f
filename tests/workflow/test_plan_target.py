"""`snakemake plan`: what a run would take, of the jobs that are left."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from study import CHECKOUT, Run, Study

from affectflow.planning.disk import usage

BYTES = {"kB": 1e3, "MB": 1e6, "GB": 1e9}


@pytest.fixture
def study(finished: Study, tmp_path: Path) -> Study:
    """A copy of the finished study."""
    return finished.copy(tmp_path)


def plan(study: Study, *arguments: str) -> Run:
    planned = study.run(*arguments, "plan")
    assert planned.code == 0, planned.out
    return planned


def counts(planned: Run) -> dict[str, int]:
    """Jobs by rule, as the table says."""
    table = planned.out[planned.out.index("\nrule  ") :].split("\n\n")[0]
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)  \wPU", table, re.MULTILINE)}


def jobs(study: Study) -> Counter[str]:
    """Jobs by rule, as a dry run says."""
    return Counter(rule for rule, _ in study.plan().jobs if rule != "all")


def predicted(planned: Run) -> tuple[float, int]:
    """Bytes and files when done."""
    size, unit = re.search(r"^disk when done +([\d.,]+) (\wB)", planned.out, re.MULTILINE).groups()
    files = re.search(r"^files when done +([\d,]+)", planned.out, re.MULTILINE)[1]
    return float(size.replace(",", "")) * BYTES[unit], int(files.replace(",", ""))


def test_plan_of_a_fresh_study(finished: Study, tmp_path: Path) -> None:
    fresh = finished.anew(tmp_path / "folder")
    planned = plan(fresh)
    assert counts(planned) == jobs(fresh)
    assert not (fresh.folder / "results").exists(), "planning makes nothing"
    assert "warning" not in planned.out
    assert "GPU hours        none" in planned.out
    assert "frames of 2 of 3 shards at once (--cores)" in planned.out
    # The numbers are honest: the same study, finished, holds about as much.
    size, files = predicted(planned)
    real = usage(finished.folder)
    assert real.bytes / 2 < size < real.bytes * 2
    assert real.files / 1.2 < files < real.files * 1.2


def test_finished_study_has_nothing_to_do(study: Study) -> None:
    before = usage(study.folder / "results")
    assert "Nothing to do" in plan(study).out
    assert usage(study.folder / "results") == before


def test_only_what_is_left(study: Study) -> None:
    (study.folder / "results" / "faces" / "shard-001.h5").unlink()
    planned = plan(study)
    assert counts(planned) == jobs(study)
    assert counts(planned)["detect_faces"] == counts(planned)["extract_frames"] == 1


def test_quota_that_would_break(finished: Study, tmp_path: Path) -> None:
    fresh = finished.anew(tmp_path / "folder")
    planned = plan(fresh.with_config(quota={"gigabytes": 0.01, "files": 100}))
    told = planned.out[planned.out.index("warning:") :]
    assert "quota.gigabytes is 0.01, and the results alone" in told
    assert "quota.files is 100" in told
    assert "This rests on" not in told, "warnings stand last"


def test_limit_of_frames_on_disk(finished: Study, tmp_path: Path) -> None:
    fresh = finished.anew(tmp_path / "folder")
    planned = plan(fresh, "--resources", "frames_on_disk=1", "--")
    assert "frames of 1 of 3 shards at once (frames_on_disk)" in planned.out


def test_mistake_is_told(finished: Study, tmp_path: Path) -> None:
    fresh = finished.anew(tmp_path / "folder")
    labels = fresh.folder / "corpus" / "Labels" / "TrainLabels.csv"
    labels.write_text("")
    planned = fresh.run("plan")
    assert planned.code == 1
    assert "TrainLabels.csv: is empty" in planned.out
    assert "Traceback" not in planned.out


def test_failing_dry_run_is_told(finished: Study, tmp_path: Path) -> None:
    """What only the dry run finds out reaches the terminal."""
    fresh = finished.anew(tmp_path / "folder")
    weights = {"resnet18": {"weights": "/nowhere/resnet18.pth"}}
    planned = fresh.with_config(backbones=weights).run("plan")
    assert planned.code == 1
    assert "there is no file /nowhere/resnet18.pth" in planned.out.split("Error in rule plan")[1]


def test_plan_of_daisee(daisee: Path, tmp_path: Path) -> None:
    """Of empty files: no video is opened."""
    folder = tmp_path / "folder"
    folder.mkdir()
    experiments = {f"e{i}": {"backbone": "inception_resnet_v1"} for i in range(11)}
    config = {
        "dataset": {"root": str(daisee)},
        "frames": {"per_clip": 300},
        "shards": 64,
        "shards_per_embedding": 10,
        "backbones": {n: {"weights": "random"} for n in ("resnet18", "inception_resnet_v1")},
        "experiments": experiments,
        "device": "cuda",
    }
    study = Study(CHECKOUT, folder, config)
    start = time.monotonic()
    planned = plan(study)
    assert time.monotonic() - start < 20, "seconds"
    assert counts(planned)["embed"] == 14
    assert "2,720,400 frames of 9,068 clips" in planned.out
    hours = float(re.search(r"^GPU hours +([\d.]+)", planned.out, re.MULTILINE)[1])
    assert 5 < hours < 50
    size, _ = predicted(planned)
    assert 20e9 < size < 100e9


def test_daisee_as_configured_has_gpu_jobs_of_10_to_60_minutes(
    daisee: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    config = yaml.safe_load((CHECKOUT / "config" / "daisee.yaml").read_text())
    config |= {"dataset": {"root": str(daisee)}, "device": "cuda"}
    planned = plan(Study(CHECKOUT, folder, config))
    one_job = dict(re.findall(r"^(\w+) +\d+  GPU +(\d+) min", planned.out, re.MULTILINE))
    assert one_job.keys() == {"detect_faces", "embed", "train"}
    assert all(10 <= int(minutes) <= 60 for minutes in one_job.values()), one_job
