"""Planning a study of DAiSEE's size, without a single video."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from study import CHECKOUT, Study, copy_checkout

# In a small process of its own: a child's peak counts from its parent's size.
MEASURE = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def test_dry_run_of_daisee(daisee: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    checkout = copy_checkout(tmp_path / "checkout")
    # A third one is one file more.
    models = checkout / "src" / "affectflow" / "backbones" / "models"
    shutil.copy(models / "resnet18.py", models / "third.py")
    names = ("resnet18", "inception_resnet_v1", "third")
    backbones = {name: {"weights": "random"} for name in names}
    experiments = {f"e{i}": {"backbone": "inception_resnet_v1"} for i in range(11)}
    config = {
        "dataset": {"root": str(daisee)},
        "shards": 64,
        "backbones": backbones,
        "experiments": experiments,
    }
    study = Study(checkout, folder, config)
    start = time.monotonic()
    planned = study.plan()
    print(f"planned in {time.monotonic() - start:.1f} s")
    jobs = Counter(rule for rule, _ in planned.jobs)
    assert jobs["detect_faces"] == jobs["extract_frames"] == 64
    assert jobs["embed"] == 3 * 64
    assert jobs["train"] == 11
    assert jobs.total() < 700
    assert "published" not in jobs, "these are not the dissertation's experiments"
    measured = [sys.executable, "-c", MEASURE, *study.command("--dry-run")]
    peak = subprocess.run(measured, capture_output=True, text=True, check=True).stdout
    assert int(peak) / 2**20 < 1, "GiB"
    assert not (folder / "results").exists(), "a dry run makes nothing"


def test_an_experiment_of_the_dissertation_with_several_seeds_is_compared(
    daisee: Path, tmp_path: Path
) -> None:
    config = {
        "dataset": {"root": str(daisee)},
        "shards": 2,
        "backbones": {"fecnet": {"weights": "random"}, "resnet18": None},
        "experiments": {"experiment_2": {"backbone": "fecnet", "seed": [1, 2]}},
    }
    planned = Study(CHECKOUT, tmp_path, config).plan()
    assert {"draw_baselines", "draw_losses", "draw_engagement", "published"} <= planned.rules
    assert ("draw_similarity", "backbone=fecnet") in planned.jobs
    job = re.split(r"^(?:local)?rule published:", planned.out, flags=re.MULTILINE)[1]
    job = job.split("\n\n")[0]
    assert "results/tables/similarity/fecnet.csv" in job
    assert "results/tables/spread.csv" in job


def test_only_training_in_epochs_asks_for_a_gpu(daisee: Path, tmp_path: Path) -> None:
    """A rule of its own, so that a profile's GPU partition is not a pooled head's either."""
    folder = tmp_path / "folder"
    folder.mkdir()
    experiments = {
        "lstm": {"backbone": "resnet18"},
        "ridge": {"backbone": "resnet18", "head": "pooled_ridge", "seed": [1, 2]},
    }
    config = {"dataset": {"root": str(daisee)}, "experiments": experiments}
    planned = Study(CHECKOUT, folder, config).plan()
    assert {job for job in planned.jobs if "train" in job[0]} == {
        ("train", "experiment=lstm"),
        ("train_pooled", "experiment=ridge-seed_1"),
        ("train_pooled", "experiment=ridge-seed_2"),
    }
    blocks = planned.out.split("rule ")
    gpu = {block.split(":")[0] for block in blocks if re.search("resources: .*gpu=1", block)}
    assert gpu == {"detect_faces", "embed", "train"}


def test_parsing_loads_nothing_heavy() -> None:
    """Every job parses the Snakefile again."""
    program = (
        "import sys; from snakemake.cli import main\n"
        "try: main(['--list-rules'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'cv2', 'av', 'sklearn', 'matplotlib', 'facenet_pytorch'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"parsing imports {done.stderr}"


def test_the_workflow_catalogues_snakefile_plans_the_same(daisee: Path, tmp_path: Path) -> None:
    """Where the catalogue, and `snakedeploy`, look for one."""
    study = Study(CHECKOUT, tmp_path, {"dataset": {"root": str(daisee)}})
    elsewhere = study.plan("--snakefile", str(CHECKOUT / "workflow" / "Snakefile"))
    assert elsewhere.jobs == study.plan().jobs - {("all", "")} | {("default", "")}
