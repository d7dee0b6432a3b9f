"""`snakemake --profile slurm`, as a student types it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from lab import Lab
from study import CHECKOUT, Study

from affectflow.joblog import read_job_log
from slurm import Cluster

pytestmark = pytest.mark.usefixtures("quiet")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_demo_through_the_cluster(
    cluster: Cluster, checkout: Path, demo_corpus: Path, demo: Path, tmp_path: Path
) -> None:
    """The default config; its predictions are those of the same demo on this machine alone."""
    lab = Lab(checkout, tmp_path / "folder", {"dataset": {"root": str(demo_corpus)}}, cluster)
    lab.folder.mkdir()
    run = lab.run()
    assert run.code == 0, run.out
    results = lab.folder / "results"
    assert (results / "report.html").stat().st_size > 1e6
    predictions = sorted(demo.glob("experiments/*/predictions.csv"))
    assert len(predictions) >= 2
    for path in predictions:
        assert (results / path.relative_to(demo)).read_bytes() == path.read_bytes()
    again = lab.run("--dry-run")
    assert "Nothing to be done" in again.out, again.out
    # The same folder without the cluster: where jobs ran is no reason to run them again.
    alone = Study(checkout, lab.folder, lab.config).run("--dry-run")
    assert "Nothing to be done" in alone.out, alone.out


def test_jobs_go_where_they_belong(undisturbed: Lab) -> None:
    """Partition, GPU, memory and time of every job, as SLURM's accounting knows them."""
    format_ = "--format=Comment%60,Partition,AllocTRES%80,ReqMem,Timelimit,WorkDir%200"
    told = undisturbed.cluster.run("sacct", "-X", "--noheader", "--parsable2", format_)
    seen = Counter[tuple[str, ...]]()
    for line in told.splitlines():
        comment, partition, allocated, memory, limit, folder = line.split("|")
        rule = re.match(r"rule_(\w+?)_wildcards", comment)
        if rule and folder == str(undisturbed.folder):
            gpu = "gpu" if "gres/gpu=1" in allocated else "none"
            seen[rule[1], partition, gpu, memory, limit] += 1
    assert seen == {
        ("extract_frames", "cpu", "none", "2000M", "02:00:00"): 2,
        ("detect_faces", "gpu", "gpu", "6000M", "04:00:00"): 2,
        ("embed", "gpu", "gpu", "6000M", "04:00:00"): 2,
        ("train", "gpu", "gpu", "8000M", "04:00:00"): 1,
    }


def test_the_cluster_changes_no_prediction(undisturbed: Lab, finished: Study) -> None:
    assert undisturbed.predictions() == finished.predictions()


def test_overhead_of_a_gpu_job(undisturbed: Lab) -> None:
    """What SLURM was asked to hold a GPU for, less the script's own time, is printed.

    Not asserted: machines are noisy. docs/performance.md has the figures of a quiet one.
    """
    told = undisturbed.cluster.run(
        "sacct", "-X", "--noheader", "--parsable2", "--format=Comment%60,ElapsedRaw,State"
    )
    for path in sorted((undisturbed.folder / "logs").glob("*/**/*.log")):
        log = read_job_log(path)
        name = str(path.relative_to(undisturbed.folder / "logs").with_suffix(""))
        comment = "rule_" + re.sub(r"/(shard-)?", "_", name.replace("/", "_wildcards_", 1))
        elapsed = [int(line.split("|")[1]) for line in told.splitlines() if comment in line]
        if log and elapsed:
            print(f"{name}: {elapsed[0] - log.seconds:.1f} s around {log.seconds:.1f} s of work")


def test_results_are_private(undisturbed: Lab) -> None:
    for name in ("results", "logs", ".snakemake"):
        assert mode(undisturbed.folder / name) == 0o700, name
    written = [p for n in ("results", "logs") for p in (undisturbed.folder / n).rglob("*")]
    assert len(written) > 40
    for path in written:
        assert not mode(path) & 0o077, f"{path} is {mode(path):o}"
    for path in (undisturbed.folder / ".snakemake").rglob("*"):
        assert not mode(path) & 0o002, f"{path} is writable by everybody"


def test_results_are_a_groups_if_the_config_says_so(undisturbed: Lab, tmp_path: Path) -> None:
    import grp

    group = grp.getgrgid(os.getegid()).gr_name
    lab = undisturbed.without(tmp_path, "experiments").with_config(group=group)
    run = lab.run("experiments")
    assert run.code == 0, run.out
    assert "embed" not in run.rules, "who may read is no reason to compute"
    for path in (lab.folder / "results").rglob("*"):
        expected = 0o2750 if path.is_dir() else 0o640
        assert mode(path) == expected, f"{path} is {mode(path):o}"
        assert path.stat().st_gid == os.getegid()


def test_frames_on_disk_are_bounded(undisturbed: Lab, tmp_path: Path) -> None:
    """However many jobs SLURM takes, no more shards of frames lie on disk than the limit says."""
    lab = undisturbed.without(tmp_path, "faces").with_config(shards=6)
    controller = lab.start("embeddings", "--resources", "frames_on_disk=2")
    most = 0
    frames = lab.folder / "results" / "frames"
    while controller.process.poll() is None:
        most = max(most, len(list(frames.glob("*.h5"))) if frames.is_dir() else 0)
        time.sleep(0.02)
    assert controller.finish().code == 0, controller.log.read_text()
    assert 1 <= most <= 2


def test_watching_and_efficiency(undisturbed: Lab) -> None:
    told = {}
    for name in ("watch", "efficiency"):
        script = str(CHECKOUT / "workflow" / "scripts" / f"{name}.py")
        done = subprocess.run(
            [sys.executable, script, "--directory", str(undisturbed.folder)],
            env=undisturbed.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert all(len(line) <= 80 for line in done.stdout.splitlines())
        told[name] = done.stdout
    assert re.search(r"detect_faces +2 +2 +0 +0 +0 +0", told["watch"]), told["watch"]
    for rule in ("extract_frames", "detect_faces", "embed", "train"):
        assert rule in told["efficiency"]
    assert "set-resources:" in told["efficiency"]


def test_plan_for_the_cluster(undisturbed: Lab) -> None:
    run = undisturbed.run("plan")
    assert run.code == 0, run.out
    assert "nothing to do" in run.out.lower(), run.out
