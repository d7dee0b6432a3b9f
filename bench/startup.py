"""What the workflow costs around the work: starting Snakemake, reading the Snakefile, planning.

    .venv/bin/python bench/startup.py

Every job on a cluster starts Snakemake twice (SLURM's batch step, and within it the job's own) and
reads the Snakefile each time. Planning is timed at DAiSEE's size, with empty files for videos.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from affectflow.demo.empty import write_empty_daisee

CHECKOUT = Path(__file__).parents[1]
REPEATS = 5
EMPTY = "rule all:\n    input: []\n"


def seconds(*command: str, folder: Path = CHECKOUT) -> float:
    """Return the median time of a command."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    snakemake = [sys.executable, "-m", "snakemake"]
    with tempfile.TemporaryDirectory() as top:
        empty = Path(top) / "empty"
        empty.mkdir()
        (empty / "Snakefile").write_text(EMPTY)
        bare = seconds(*snakemake, "--list-rules", folder=empty)
        read = seconds(*snakemake, "--list-rules")
        write_empty_daisee(Path(top) / "DAiSEE")
        study = {
            "dataset": {"root": str(Path(top) / "DAiSEE")},
            "shards": 64,
            "backbones": {n: {"weights": "random"} for n in ("resnet18", "inception_resnet_v1")},
            "experiments": {f"e{i}": {"backbone": "resnet18"} for i in range(11)},
        }
        config = Path(top) / "study.yaml"
        config.write_text(yaml.safe_dump(study))
        command = [*snakemake, "--dry-run", "--quiet", "--directory", str(empty)]
        planned = seconds(*command, "--configfile", str(config))
    print(f"Snakemake on an empty Snakefile     {bare:5.2f} s   1.00")
    print(f"reading this Snakefile, besides     {read - bare:5.2f} s   {(read - bare) / bare:.2f}")
    print(f"planning 9,068 clips in 64 shards   {planned:5.2f} s   {planned / bare:.2f}")


if __name__ == "__main__":
    main()
