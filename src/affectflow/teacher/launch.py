"""Where the teacher is trained: in this process, in several of this machine, or by SLURM.

Jobs are submitit's. SLURM's outlives the command that submitted it: given again, the command finds
the job in the queue by its name, and waits for that one. A job that is preempted, or reaches its
time limit, puts itself into the queue again and goes on from its checkpoint. Processes of this
machine end with the command, however that ends.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import submitit
from submitit.core.utils import FailedJobError
from submitit.helpers import Checkpointable, TorchDistributedEnvironment

from affectflow.cluster import slurm
from affectflow.errors import UserError
from affectflow.provenance.atomic import write_text
from affectflow.teacher.job import Request, is_finished, train

log = logging.getLogger(__name__)

JOBS, TOLD = "jobs", "told.txt"
POLL = 5.0
LATE = 30.0
"""Seconds after a job's end in which its files may still appear on this machine's disk."""
SIGNAL_DELAY = 120
"""Seconds before its time limit at which a job is told to put itself into the queue again."""
REQUEUES = 100
YEAR = 365 * 24 * 60  # minutes: only SLURM has time limits


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

    def check(self) -> None:
        """Refuse what can't be.

        Raises
        ------
        UserError
            For several machines without SLURM, or GPUs that are not one for each process.
        """
        if self.where == "local" and self.nodes > 1:
            raise UserError(
                f"teacher.place.nodes: {self.nodes} machines, but no SLURM to start on them",
                "Set it to 1, or run where squeue is found.",
            )
        if self.gpus and self.processes != self.gpus:
            raise UserError(
                f"teacher.place: {self.processes} processes on a machine of {self.gpus} GPUs",
                "Set processes to the number of gpus: each process trains on one.",
            )


@dataclass(frozen=True)
class Owner:
    """The process whose end is that of its local jobs, and the GPUs that it may see."""

    process: int
    born: float
    gpus: str | None

    @classmethod
    def this(cls) -> Owner:
        """Return this process."""
        own = psutil.Process()
        return cls(own.pid, own.create_time(), os.environ.get("CUDA_VISIBLE_DEVICES"))

    def lives(self) -> bool:
        """Return whether it still runs; another process may have its number by now."""
        try:
            process = psutil.Process(self.process)
            return process.create_time() == self.born and process.status() != "zombie"
        except psutil.NoSuchProcess:
            return False

    def watch(self) -> None:
        """End this process once the owner is gone."""
        while self.lives():
            time.sleep(1)
        os._exit(1)


class Work(Checkpointable):
    """What a job's processes do; submitit keeps it in a file and calls it in each of them."""

    def __call__(
        self, request: Request, digest: str, folder: Path, owner: Owner | None = None
    ) -> None:
        """Train; leave what a person has to be told, if there is something, in `TOLD`."""
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
        )
        if owner:
            threading.Thread(target=owner.watch, daemon=True).start()
            if owner.gpus is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = owner.gpus
        environment = TorchDistributedEnvironment()
        environment.export(set_cuda_visible_devices=False, overwrite=True)
        if environment.world_size == environment.local_world_size:
            # One machine: its own name may not lead to it.
            os.environ["MASTER_ADDR"] = "127.0.0.1"
        try:
            train(request, digest, folder)
        except UserError as error:
            write_text(folder / TOLD, f"{error}\n")
            raise  # as a failure, which ends the processes that wait for this one


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
    place.check()
    digest = request.digest()
    if is_finished(digest, folder):
        log.info("%s: is finished", folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if place.gpus == 0:
        request = replace(request, device="cpu")
    if place.where == "slurm":
        job = _running(digest, folder)
        if job is None:
            queue = submitit.SlurmExecutor(folder / JOBS, max_num_timeout=REQUEUES)
            queue.update_parameters(**_asked_of_slurm(place, digest))
            job = _submit(queue, folder, request, digest, folder)
        _wait_in_queue(job.job_id)
        state = job.watcher.get_state(job.job_id, mode="force")
    elif place.processes == 1:
        train(request, digest, folder)
        return
    else:
        here = submitit.LocalExecutor(folder / JOBS)
        here.update_parameters(
            tasks_per_node=place.processes, gpus_per_node=place.gpus, timeout_min=YEAR
        )
        job = _submit(here, folder, request, digest, folder, Owner.this())
        while not job.done():
            time.sleep(1)
        state = job.state
    _conclude(job, state, digest, folder)


def _running(digest: str, folder: Path) -> submitit.Job[None] | None:
    """Return the job of an earlier command that is still in the queue."""
    left = [job for job in slurm.jobs(Path.cwd()) if job.run.startswith(slurm.DETACHED)]
    for job in left:
        if job.run == _name(digest):
            log.info("job %s is %s: waiting for it", job.id, job.state.lower())
            return submitit.SlurmJob(folder / JOBS, job.id)
    if left:
        raise UserError(
            f"job {left[0].id} trains the teacher with other settings, data or code",
            f"Wait for it, or cancel it: scancel {left[0].id}",
        )
    return None


def _asked_of_slurm(place: Place, digest: str) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "job_name": _name(digest),
        "nodes": place.nodes,
        "ntasks_per_node": place.processes,
        "cpus_per_task": place.cpus,
        "time": place.minutes,
        "mem": f"{place.memory_gb}GB",
        "signal_delay_s": SIGNAL_DELAY,
        # One process that fails leaves the others waiting for it; and from SLURM 22.05 on, srun
        # does not take a job's cores for granted.
        "srun_args": ["--kill-on-bad-exit=1", f"--cpus-per-task={place.cpus}"],
    }
    if place.gpus:
        asked["gpus_per_node"] = place.gpus
    return asked | _given({"partition": place.partition, "account": place.account})


def _submit(executor: submitit.Executor, folder: Path, *arguments: Any) -> submitit.Job[None]:
    (folder / TOLD).unlink(missing_ok=True)
    try:
        job: submitit.Job[None] = executor.submit(Work(), *arguments)
    except FailedJobError as error:
        raise UserError(
            f"teacher: SLURM does not take the job: {str(error).strip().splitlines()[-1]}",
            "Correct teacher.place in the config.",
        ) from error
    log.info("job %s: %s", job.job_id, job.paths.stderr)
    return job


def _wait_in_queue(job: str) -> None:
    """Return once a job is in SLURM's queue no more, whatever its accounting says of it."""
    doubted = False
    while True:
        time.sleep(POLL)
        try:
            waiting = {one.id for one in slurm.jobs(Path.cwd())}
        except UserError as error:
            if not doubted:
                log.warning("%s", error)
            doubted = True
            continue
        doubted = False
        if job not in waiting:
            return


def _conclude(job: submitit.Job[None], state: str, digest: str, folder: Path) -> None:
    """Return if a job that has ended left the teacher's files; tell why, if it did not."""
    told, ended = folder / TOLD, time.monotonic()
    while not is_finished(digest, folder) and not told.is_file():
        if time.monotonic() - ended > LATE:
            raise UserError(
                f"teacher: job {job.job_id} ended without the teacher's files ({state.lower()})",
                "Raise teacher.place.memory_gb, then give the same command again."
                if state == "OUT_OF_MEMORY"
                else f"Look at {job.paths.stderr}, then give the same command again: it goes on "
                "from the last checkpoint.",
            )
        time.sleep(1)
    if not is_finished(digest, folder):
        message, _, remedy = told.read_text(encoding="utf-8").strip().partition("\n  ")
        raise UserError(message, remedy)


def _name(digest: str) -> str:
    return f"{slurm.DETACHED}{digest[:12]}"


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
