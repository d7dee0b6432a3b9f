"""Jobs killed at random moments lose nothing: the rerun ends with the same bytes."""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from study import Study, environment

KILLS, SOAK_KILLS = 12, 80
# Kills of one run; then it is left alone to finish, and the next one begins.
PER_RUN = 20
# The longest wait between two kills, in seconds.
LONGEST = 3.0
SEED = 20221


def start(study: Study, *arguments: str) -> subprocess.Popen[bytes]:
    log = (study.folder / "kills.log").open("ab")
    return subprocess.Popen(study.command(*arguments), stdout=log, stderr=log, env=environment())


def jobs_of(snakemake: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The running scripts of the workflow, below this snakemake."""
    try:
        children = psutil.Process(snakemake.pid).children(recursive=True)
        return [child for child in children if "/workflow/scripts/" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def script(job: psutil.Process) -> str:
    return re.findall(r"/workflow/scripts/(\w+)\.py", " ".join(job.cmdline()))[0]


def kill_at_random(
    study: Study,
    snakemake: subprocess.Popen[bytes],
    chance: random.Random,
    kills: Counter[str],
    left: int,
) -> None:
    """Kill a running job now and then, `left` times at the most."""
    while left and snakemake.poll() is None:
        time.sleep(chance.uniform(0, LONGEST))
        try:
            job = chance.choice(jobs_of(snakemake))
            name = script(job)
            job.kill()
        except (psutil.Error, IndexError):
            continue  # none runs just now
        kills[name] += 1
        left -= 1


def test_random_kills(
    finished: Study,
    tmp_path: Path,
    survived: Callable[[str, str], None],
    pytestconfig: pytest.Config,
) -> None:
    """Every job is tried again until it ends, and the bytes are those of a quiet run."""
    chance, kills, runs = random.Random(SEED), Counter[str](), 0
    wanted = SOAK_KILLS if pytestconfig.getoption("soak") else KILLS
    while kills.total() < wanted:
        runs += 1
        study = finished.anew(tmp_path / str(runs))
        snakemake = start(study, "--retries", str(PER_RUN))
        kill_at_random(study, snakemake, chance, kills, min(PER_RUN, wanted - kills.total()))
        assert snakemake.wait(timeout=900) == 0, (study.folder / "kills.log").read_text()
        for experiment in finished.config["experiments"]:
            assert study.predictions(experiment) == finished.predictions(experiment), kills
        assert not list(study.folder.glob("results/**/.*.tmp")), "something half-written is left"
    stages = ", ".join(f"{n} of {name}" for name, n in kills.most_common(4))
    survived(
        f"{kills.total()} kills of random jobs at random moments, without SLURM, {runs} runs",
        f"tried again each time ({stages}, ...)",
    )


def test_training_killed_between_epochs_goes_on(finished: Study, tmp_path: Path) -> None:
    """The checkpoint outlives the job, and the next one resumes from it."""
    study = finished.copy(tmp_path)
    long = {**study.config["experiments"]["lstm"], "epochs": 60}
    study = study.with_config(experiments={"lstm": long})
    undisturbed = study.copy(tmp_path / "undisturbed")
    assert undisturbed.run().code == 0

    checkpoint = study.folder / "results" / "experiments" / "lstm" / "checkpoint.pt"
    snakemake = start(study)
    while not checkpoint.exists():
        assert snakemake.poll() is None, "training ended before it could be killed"
        time.sleep(0.01)
    for job in jobs_of(snakemake):
        job.kill()
    assert snakemake.wait(timeout=600) != 0
    assert checkpoint.exists()

    assert study.run().code == 0
    assert "resumed after epoch" in (study.folder / "logs" / "train" / "lstm.log").read_text()
    assert study.predictions() == undisturbed.predictions()
    assert not checkpoint.exists()


def test_killed_controller_leaves_nothing_that_a_rerun_minds(
    finished: Study, tmp_path: Path
) -> None:
    study = finished.anew(tmp_path / "folder")
    snakemake = start(study)
    while not jobs_of(snakemake):
        assert snakemake.poll() is None
        time.sleep(0.05)
    time.sleep(random.Random(SEED).uniform(1, 10))
    orphans = jobs_of(snakemake)
    snakemake.kill()
    snakemake.wait()
    for job in orphans:
        try:
            job.kill()
        except psutil.NoSuchProcess:
            continue
    last = study.run("--rerun-incomplete")
    assert last.code == 0, last.out
    assert study.predictions() == finished.predictions()
