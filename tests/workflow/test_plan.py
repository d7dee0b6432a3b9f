"""Planning a study of DAiSEE's size, without a single video."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from study import CHECKOUT, Study

# In a small process of its own: a child's peak counts from its parent's size.
MEASURE = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


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
