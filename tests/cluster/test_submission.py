"""A SLURM that takes no jobs for a while: whoever waits reads why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import Lab

pytestmark = pytest.mark.usefixtures("quiet")


def test_the_controllers_log_says_why_no_job_is_taken(new_lab: Callable[[], Lab]) -> None:
    lab = new_lab()
    real = lab.cluster.run("sh", "-c", "command -v sbatch").strip()
    command = lab.cluster.folder / "bin" / "sbatch"
    refused = lab.folder / "refused"
    words = "sbatch: error: Batch job submission failed: Slurm backup controller in standby mode"
    command.write_text(
        f'#!/bin/bash\n[ ! -e {refused} ] || exec {real} "$@"\n'
        f"touch {refused}; echo '{words}' >&2; exit 1\n"
    )
    command.chmod(0o755)
    try:
        run = lab.run("results/frames/shard-000.h5")
    finally:
        command.unlink()
    assert run.code == 0, run.out
    assert run.out.count("SLURM takes no jobs now (Slurm backup controller in standby mode)") == 1
    assert run.out.index("takes no jobs now") < run.out.index("SLURM takes jobs again")
    (log,) = (lab.folder / ".snakemake" / "log").glob("*.log")
    assert "SLURM takes no jobs now" in log.read_text()
