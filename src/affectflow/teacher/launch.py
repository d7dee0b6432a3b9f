"""Where the teacher is trained: in this process, in several of this machine, or by SLURM.

Jobs are submitit's. One outlives the command that submitted it: given again, the command finds the
job in the queue by its name, and waits for that one. A job that is preempted, or reaches its time
limit, puts itself into the queue again and goes on from its checkpoint.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, UncompletedJobError
from submitit.helpers import Checkpointable, TorchDistributedEnvironment

from affectflow.cluster import slurm
from affectflow.errors import UserError
from affectflow.teacher.job import Request, is_finished, train

log = logging.getLogger(__name__)

JOBS = "jobs"
POLL = 5.0
SIGNAL_DELAY = 120
"""Seconds before its time limit at which a job is told to put itself into the queue again."""
REQUEUES = 100


@dataclass(frozen=True)
class Place:
    """Where to train.

    Attributes
    ----------
    cluster : {"auto", "slurm", "local"}
        ``auto``: SLURM where its commands are, else this machine.
    nodes, processes : int
        Machines, and processes on each: as many as GPUs, where there are.
    gpus : int
        Of each machine; 0 to train on CPUs.
    minutes : int
        A job's time limit; one that reaches it goes on in another.
    memory_gb : int
        Of each machine.
    cpus : int
        Cores of each process: one computes, the others read faces.
    partition, account : str or None
        SLURM's; None for the site's default.
    """

    cluster: str = "auto"
    nodes: int = 1
    processes: int = 1
    gpus: int = 1
    minutes: int = 1440
    memory_gb: int = 32
    cpus: int = 4
    partition: str | None = None
    account: str | None = None

    @property
    def where(self) -> str:
        """Return ``slurm`` or ``local``."""
        if self.cluster != "auto":
            return self.cluster
        return "slurm" if slurm.installed() else "local"


class Work(Checkpointable):
    """What a job's processes do; submitit keeps it in a file and calls it in each of them."""

    def __call__(self, request: Request, folder: Path) -> str:
        """Train; return what a person has to be told, if there is something."""
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
        )
        environment = TorchDistributedEnvironment()
        environment.export(set_cuda_visible_devices=False, overwrite=True)
        if environment.world_size == environment.local_world_size:
            # One machine: its own name may not lead to it.
            os.environ["MASTER_ADDR"] = "127.0.0.1"
        try:
            train(request, folder)
        except UserError as error:
            return str(error)
        return ""


def launch(request: Request, place: Place, folder: Path) -> None:
    """Train the teacher, wherever, and return when its files are in `folder`.

    Parameters
    ----------
    request : Request
    place : Place
    folder : Path
        For checkpoint, files, and submitit's own; on a cluster, one that its nodes see.

    Raises
    ------
    UserError
        If training fails, SLURM does not take the job, or one of another request is in its queue.
    """
    if is_finished(request, folder):
        log.info("%s: is finished", folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if place.where == "local" and place.processes == 1:
        train(request, folder)
        return
    job = _running(request, place, folder) or _submit(request, place, folder)
    _wait(job)
    if not is_finished(request, folder):
        raise UserError(
            f"{folder}: job {job.job_id} ended without the teacher's files",
            f"Look at {job.paths.stderr}, then give the same command again.",
        )


def _running(request: Request, place: Place, folder: Path) -> submitit.Job[str] | None:
    """Return the job of an earlier command that is still in the queue."""
    if place.where != "slurm":
        return None
    name = _name(request)
    left = [job for job in slurm.jobs(Path.cwd()) if job.run.startswith(slurm.DETACHED)]
    for job in left:
        if job.run == name:
            log.info("job %s is %s: waiting for it", job.id, job.state.lower())
            tasks = list(range(place.nodes * place.processes))
            return submitit.SlurmJob(folder / JOBS, job.id, tasks)
    if left:
        raise UserError(
            f"job {left[0].id} trains the teacher with other settings, data or code",
            f"Wait for it, or cancel it: scancel {left[0].id}",
        )
    return None


def _submit(request: Request, place: Place, folder: Path) -> submitit.Job[str]:
    options: dict[str, Any] = {"slurm_max_num_timeout": REQUEUES} if place.where == "slurm" else {}
    executor = submitit.AutoExecutor(folder / JOBS, cluster=place.where, **options)
    parameters: dict[str, Any] = {
        "name": _name(request),
        "nodes": place.nodes,
        "tasks_per_node": place.processes,
        "gpus_per_node": place.gpus,
        "cpus_per_task": place.cpus,
        "timeout_min": place.minutes,
        "mem_gb": place.memory_gb,
    }
    if place.where == "slurm":
        parameters |= {
            "slurm_signal_delay_s": SIGNAL_DELAY,
            # One process that fails leaves the others waiting for it.
            "slurm_srun_args": ["--kill-on-bad-exit=1"],
            **_given({"slurm_partition": place.partition, "slurm_account": place.account}),
        }
    executor.update_parameters(**parameters)
    try:
        job: submitit.Job[str] = executor.submit(Work(), request, folder)
    except submitit.core.utils.FailedJobError as error:
        raise UserError(
            f"teacher: SLURM does not take the job: {str(error).strip().splitlines()[-1]}",
            "Correct teacher.place in the config.",
        ) from error
    log.info("job %s: %s", job.job_id, job.paths.stderr)
    return job


def _wait(job: submitit.Job[str]) -> None:
    while not job.done():
        time.sleep(POLL)
    try:
        told = [text for text in job.results() if text]
    except (FailedJobError, UncompletedJobError) as error:
        raise UserError(
            f"teacher: job {job.job_id} did not finish (SLURM says {job.state})",
            f"Look at {job.paths.stderr}, then give the same command again: it goes on from the "
            "last checkpoint.",
        ) from error
    if told:
        message, _, remedy = told[0].partition("\n  ")
        raise UserError(message, remedy)


def _name(request: Request) -> str:
    return f"{slurm.DETACHED}{request.digest()[:12]}"


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
