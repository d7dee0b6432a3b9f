"""Checks before a run on a cluster: what would otherwise fail in the middle of the night."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from affectflow.cluster import controller, slurm
from affectflow.cluster.disks import disk_of
from affectflow.errors import UserError, did_you_mean

PROFILE = "profiles/slurm/config.yaml"
PLACEHOLDER = re.compile(r"<.+>")
NAMED = 8
SECONDS = 2.0


@dataclass(frozen=True)
class Request:
    """What a job is going to ask SLURM for.

    Attributes
    ----------
    rule : str
    resources : mapping
        Its resources, as Snakemake evaluated them for the first attempt.
    longest : int or None
        Minutes that its last attempt would ask for; None where that is not known.
    experiments : int
        How many share the job.
    """

    rule: str
    resources: Mapping[str, object]
    longest: int | None = None
    experiments: int = 1


def claim(folder: Path, submits: bool) -> None:
    """Make sure that nobody else runs the study in `folder`, and that no job of it is left over.

    A lock that a dead controller left behind is lifted: its jobs have ended, and what it did not
    finish is done again.

    Parameters
    ----------
    folder : Path
    submits : bool
        Whether the run is going to submit jobs to SLURM.

    Raises
    ------
    UserError
        If another controller is at work, or jobs of an earlier one are queued or running: they
        write the same files that new ones would.
    """
    last = controller.latest(folder)
    if last and last.alive():
        raise UserError(
            f"{folder}: is being worked on by another snakemake, process {last.pid} on {last.host}",
            "Wait for it (workflow/scripts/watch.py shows how far it is), or stop it with Ctrl-C "
            "in its terminal.",
        )
    # Jobs of a controller that died go on without it, whatever the next one is.
    submitted = last is not None and last.executor == "slurm" and slurm.installed()
    jobs = slurm.jobs(folder) if submits or submitted else []
    if left := [job for job in jobs if not job.run.startswith(slurm.DETACHED)]:
        raise UserError(
            f"{folder}: {len(left)} job(s) of an earlier run are still in SLURM's queue:\n"
            f"{_listed(left)}",
            "New ones would write the same files. Wait until they have ended "
            f"(squeue --me), or cancel them: scancel {' '.join(job.id for job in left)}"
            "\nThen give the same command again: what they finished is kept.",
        )
    if last and (locks := controller.locks_of_latest(folder)):
        if last.alive() is None:
            raise UserError(
                f"{folder}: was locked by a snakemake on {last.host}, process {last.pid}",
                f"If it does not run there any more (ssh {last.host} ps -p {last.pid}), add "
                "--unlock to the command once; then give the command without it.",
            )
        for lock in locks:
            lock.unlink()


def check(requests: Iterable[Request], folders: Mapping[str, Path], shared: bool) -> None:
    """Check that SLURM can take the jobs, and that they will find the files.

    Parameters
    ----------
    requests : iterable of Request
        The jobs to be submitted.
    folders : mapping
        What it is -> a folder that compute nodes have to see.
    shared : bool
        The user's word that they do.

    Raises
    ------
    UserError
        For a placeholder left in the profile, a partition or an account that SLURM does not know
        (or an account where it keeps none),
        more time than a partition gives, a GPU where there is none, several GPUs where experiments
        share one, or a folder that compute nodes can't see.
    """
    requests = list(requests)
    for request in requests:
        for name, value in request.resources.items():
            if isinstance(value, str) and PLACEHOLDER.fullmatch(value):
                raise UserError(
                    f"{PROFILE}: {name} is still the placeholder {value}",
                    "Put your cluster's value there; profiles/slurm/README.md says how to find it.",
                )
    asked = _values(requests, "slurm_partition")
    limits = slurm.time_limits()
    _require("partition", asked, known=set(limits))
    with_gpu = slurm.gpu_partitions()
    for request in requests:
        _require_time(request, limits)
        _require_gpu(request, with_gpu)
        _require_sharing(request)
    if (accounts := _values(requests, "slurm_account")) and not slurm.keeps_accounts():
        raise UserError(
            f"{PROFILE}: slurm_account is {', '.join(sorted(accounts))}, and this cluster keeps no "
            "accounts",
            "Delete that line.",
        )
    if accounts:
        # An empty answer: the site keeps no accounts that could be checked.
        _require("account", accounts, known=slurm.accounts() or {a.lower() for a in accounts})
    if not shared:
        _require_shared(folders, asked)


def require_download(name: str, url: str) -> None:
    """Check that a backbone's published weights can be fetched from this machine.

    Raises
    ------
    UserError
        If there is no connection.
    """
    host = urlparse(url).hostname or ""
    try:
        socket.create_connection((host, 443), SECONDS).close()
    except OSError as error:
        raise UserError(
            f"config: backbones.{name}.weights: pretrained, but {host} can't be reached from here "
            f"({error})",
            f"Compute nodes never download. Fetch {url} where there is a network, copy it here, "
            f"and give its path: backbones: {{{name}: {{weights: PATH}}}}",
        ) from None


def _values(requests: list[Request], name: str) -> set[str]:
    found = {request.resources.get(name) for request in requests}
    # Several may be named, separated by commas.
    return {one for value in found if value for one in re.split(r"[,\s]+", str(value)) if one}


def _require(what: str, asked: set[str], known: set[str]) -> None:
    for value in sorted(asked):
        if value not in known and value.lower() not in known:
            raise UserError(
                f"{PROFILE}: SLURM knows no {what} '{value}'" + " of yours" * (what == "account"),
                did_you_mean(value, sorted(known)),
            )


def _require_time(request: Request, limits: Mapping[str, int | None]) -> None:
    # SLURM takes a job that is too long, and leaves it in the queue for good.
    own = [limits.get(name) for name in _values([request], "slurm_partition")]
    if not own or None in own:
        return
    # Of several partitions SLURM takes one that fits.
    limit = max(minutes for minutes in own if minutes is not None)
    asked = request.resources.get("runtime")
    names = ", ".join(sorted(_values([request], "slurm_partition")))
    last = request.longest
    if request.experiments > 1 and last is not None and last > limit:
        raise UserError(
            f"{PROFILE}: a job that {request.experiments} experiments share would ask for {last} "
            f"minutes at its last attempt; partition '{names}' gives {limit}",
            f"Let fewer share one (train under group-components), or give {request.rule} a shorter "
            "runtime under set-resources: it is what each experiment adds.",
        )
    if isinstance(asked, int) and asked > limit:
        raise UserError(
            f"{PROFILE}: {request.rule} asks for {asked} minutes; partition '{names}' gives "
            f"{limit}",
            f"Name a partition with longer jobs, or ask for less: `runtime: {limit}` for "
            f"{request.rule} under set-resources.",
        )
    if last is not None and last > limit:
        raise UserError(
            f"{PROFILE}: the last attempt of {request.rule} would ask for {last} minutes; "
            f"partition '{names}' gives {limit}",
            f"Name a partition with longer jobs, or put this for {request.rule} under "
            f'set-resources: `runtime: "min({asked} * 2 ** (attempt - 1), {limit})"`.',
        )


def _require_gpu(request: Request, with_gpu: set[str]) -> None:
    # SLURM refuses such a job, or leaves it in the queue for good.
    names = _values([request], "slurm_partition")
    if request.resources.get("gpu") and names and not names & with_gpu:
        raise UserError(
            f"{PROFILE}: {request.rule} asks for a GPU; partition '{', '.join(names)}' has none",
            f"Those with GPUs: {', '.join(sorted(with_gpu)) or 'none'}. Name one for the rule "
            "under set-resources in the profile. (A --set-resources on the command line replaces "
            "that whole section.)",
        )


def _require_sharing(request: Request) -> None:
    # Without a limit Snakemake adds up the GPUs, and runs the experiments side by side.
    gpus = request.resources.get("gpu")
    if request.experiments > 1 and isinstance(gpus, int) and gpus > 1:
        raise UserError(
            f"{PROFILE}: a job that {request.experiments} experiments share asks for {gpus} GPUs",
            "Where group-components names train, put gpu=1 under resources and gpu=local under "
            "set-resource-scopes: the experiments then take turns at one GPU.",
        )


def _require_shared(folders: Mapping[str, Path], partitions: set[str]) -> None:
    here = socket.gethostname().split(".")[0]
    elsewhere = sorted(slurm.hosts(partitions) - {here, "localhost"})
    if not elsewhere:
        return
    for what, folder in folders.items():
        disk = disk_of(folder)
        if disk.local and not disk.exported:
            raise UserError(
                f"{what}: {folder} lies on a disk of this machine ({disk.kind}, mounted at "
                f"{disk.mount}); jobs run on {', '.join(elsewhere[:3])}"
                + ", ..."
                * (len(elsewhere) > 3),
                "Use a folder on the cluster's shared file system (snakemake --directory DIR). If "
                "all nodes do see it, say so in the config: shared_folders: true",
            )


def _listed(jobs: list[slurm.Job]) -> str:
    lines = [f"    {job.id}  {job.state:<10} {job.rule} {job.wildcards}" for job in jobs[:NAMED]]
    return "\n".join(lines + [f"    ... and {len(jobs) - NAMED} more"] * (len(jobs) > NAMED))
