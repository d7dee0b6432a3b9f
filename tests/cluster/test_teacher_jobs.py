"""The teacher trained by SLURM: two processes, a cancelled job, and a controller that dies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from lab import Controller, Lab
from teacher_config import teacher

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[], Lab], expressions: Path) -> Lab:
    own = teacher(expressions, cluster="auto", partition="gpu")
    return new_lab().with_config(teacher=own, experiments={})


@pytest.fixture(scope="module")
def alone(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A run that nothing happened to."""
    run = lab.run("teacher")
    assert run.code == 0, run.out
    return lab


def again(alone: Lab, to: Path) -> Lab:
    """The same, before training."""
    return alone.without(to, "teacher/*.*", "teacher/run")


def weights(lab: Lab) -> bytes:
    return (lab.folder / "results" / "teacher" / "weights.safetensors").read_bytes()


def submitted(lab: Lab) -> list[str]:
    jobs = (lab.folder / "results" / "teacher" / "run" / "jobs").glob("*_submitted.pkl")
    return sorted(path.name.split("_")[0] for path in jobs)


def after_an_epoch(controller: Controller) -> str:
    """Wait for the first epoch's checkpoint; the job."""
    run = controller.lab.folder / "results" / "teacher" / "run"
    controller.until((run / "checkpoint.pt").exists)
    (job,) = submitted(controller.lab)
    return job


def test_a_cancelled_job_goes_on_from_its_checkpoint(alone: Lab, tmp_path: Path) -> None:
    lab = again(alone, tmp_path)
    controller = lab.start("teacher")
    job = after_an_epoch(controller)
    lab.cluster.run("scancel", job)
    # SLURM kills it seconds later, when a quick processor is done with the other epoch.
    for process in lab.processes(job):
        with suppress(psutil.NoSuchProcess):
            if process.name() != "slurmstepd":
                process.kill()
    run = controller.finish()
    if run.code:  # not tried again by itself
        assert "give the same command again" in run.out
        run = lab.run("teacher")
    assert run.code == 0, run.out
    first, second = submitted(lab)
    log = lab.folder / "results" / "teacher" / "run" / "jobs" / f"{second}_0_log.err"
    assert first == job and "resumed after epoch 1" in log.read_text()
    assert weights(lab) == weights(alone)


def test_a_job_that_is_told_to_go_puts_itself_into_the_queue_again(
    alone: Lab, tmp_path: Path
) -> None:
    """SLURM sends the same signal before it preempts a job, and before a time limit."""
    lab = again(alone, tmp_path)
    controller = lab.start("teacher")
    job = after_an_epoch(controller)
    lab.cluster.run("scancel", "--signal=USR2", job)
    state = "squeue", "--noheader", "--format=%T", f"--jobs={job}"
    controller.until(lambda: "PENDING" in lab.cluster.run(*state))
    lab.cluster.hurry(job)
    run = controller.finish()
    assert run.code == 0, run.out
    assert submitted(lab) == [job], "it is the same one"
    log = lab.folder / "results" / "teacher" / "run" / "jobs" / f"{job}_0_log.err"
    assert "resumed after epoch 1" in log.read_text()
    assert weights(lab) == weights(alone)


def test_a_job_outlives_its_controller_and_is_waited_for(alone: Lab, tmp_path: Path) -> None:
    lab = again(alone, tmp_path)
    controller = lab.start("teacher")
    job = after_an_epoch(controller)
    for process in (*lab.scripts("train_teacher"), controller.process):
        process.kill()
    controller.process.wait()
    run = lab.run("teacher")
    assert run.code == 0, run.out
    assert submitted(lab) == [job], "no second one"
    assert weights(lab) == weights(alone)
