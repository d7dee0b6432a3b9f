"""Planning a study of DAiSEE's size, without a single video."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from study import CHECKOUT, Study

SIZES = {"Train": 5482, "Validation": 1720, "Test": 1866}
SUBJECTS = {"Train": 70, "Validation": 21, "Test": 21}
# In a small process of its own: a child's peak counts from its parent's size.
MEASURE = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
HEADER = "ClipID,Boredom,Engagement,Confusion,Frustration \n"


@pytest.fixture
def daisee(tmp_path: Path) -> Path:
    """9,068 clips of 112 subjects; the videos are empty files."""
    root = tmp_path / "DAiSEE"
    (root / "Labels").mkdir(parents=True)
    for i, (split, size) in enumerate(SIZES.items(), start=1):
        rows = []
        for n in range(size):
            subject = f"{i}{n % SUBJECTS[split]:05d}"
            clip = f"{subject}{n:04d}"
            folder = root / "DataSet" / split / subject / clip
            folder.mkdir(parents=True)
            (folder / f"{clip}.avi").touch()
            rows.append(f"{clip}.avi,0,2,0,0\n")
        (root / "Labels" / f"{split}Labels.csv").write_text(HEADER + "".join(rows))
    return root


def test_dry_run_of_daisee(daisee: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    backbones = {name: {"weights": "random"} for name in ("resnet18", "inception_resnet_v1")}
    experiments = {f"e{i}": {"backbone": "inception_resnet_v1"} for i in range(11)}
    config = {
        "dataset": {"root": str(daisee)},
        "shards": 64,
        "backbones": backbones,
        "experiments": experiments,
    }
    study = Study(CHECKOUT, folder, config)
    planned = study.plan()
    jobs = Counter(rule for rule, _ in planned.jobs)
    assert jobs["detect_faces"] == jobs["extract_frames"] == 64
    assert jobs["embed"] == 128
    assert jobs["train"] == 11
    assert jobs.total() < 700
    measured = [sys.executable, "-c", MEASURE, *study.command("--dry-run")]
    peak = subprocess.run(measured, capture_output=True, text=True, check=True).stdout
    assert int(peak) / 2**20 < 1, "GiB"
    assert not (folder / "results").exists(), "a dry run makes nothing"


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
