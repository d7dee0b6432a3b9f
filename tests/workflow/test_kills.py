"""Jobs killed at random moments lose nothing: the rerun ends with the same bytes."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import psutil
from study import Study, environment

KILLS = 4
SEED = 20221


def start(study: Study) -> subprocess.Popen[bytes]:
    log = (study.folder / "kills.log").open("ab")
    return subprocess.Popen(study.command(), stdout=log, stderr=log, env=environment())


def jobs_of(snakemake: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The running scripts of the workflow, below this snakemake."""
    try:
        children = psutil.Process(snakemake.pid).children(recursive=True)
        return [child for child in children if "/workflow/scripts/" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def script(job: psutil.Process) -> str:
    return next(Path(part).name for part in job.cmdline() if "/workflow/scripts/" in part)


def kill_one(study: Study, delay: float) -> str | None:
    """Start the study, kill a job `delay` seconds after the first one began; say which."""
    snakemake = start(study)
    while not jobs_of(snakemake) and snakemake.poll() is None:
        time.sleep(0.05)
    time.sleep(delay)
    killed = None
    while killed is None and snakemake.poll() is None:
        for job in jobs_of(snakemake):
            try:
                killed = script(job)
                job.kill()
                break
            except psutil.Error:
                killed = None
        time.sleep(0.05)
    code = snakemake.wait(timeout=600)
    assert killed is None or code != 0, f"{killed} was killed, and snakemake did not mind"
    return killed


def test_killed_jobs_change_nothing(finished: Study, tmp_path: Path) -> None:
    study = finished.anew(tmp_path / "folder")
    chance = random.Random(SEED)
    killed = [kill_one(study, chance.uniform(0, 25)) for _ in range(KILLS)]
    assert any(killed), "no job was killed: nothing was tested"
    last = study.run()
    assert last.code == 0, last.out
    for experiment in finished.config["experiments"]:
        assert study.predictions(experiment) == finished.predictions(experiment), killed


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
    assert study.run("--unlock").code == 0
    last = study.run("--rerun-incomplete")
    assert last.code == 0, last.out
    assert study.predictions() == finished.predictions()
