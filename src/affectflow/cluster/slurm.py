"""What SLURM's own commands say. Imports nothing heavy."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from affectflow.errors import UserError

SECONDS = 20
DETACHED = "affectflow-detached-"
"""How the names of jobs begin that outlive their controller: the next one takes them up again."""
NO_ACCOUNTS = re.compile(r"AccountingStorageType *= *(\(null\)|accounting_storage/none|)$")
# As Snakemake's executor writes it; wildcards are joined by _, and a folder's / is one too.
COMMENT = re.compile(r"rule_(?P<rule>[a-z_]+?)(?:_wildcards_(?P<wildcards>.*))?$")


@dataclass(frozen=True)
class Job:
    """A job of a workflow that is queued or running.

    Attributes
    ----------
    id : str
    state : str
        SLURM's word: ``PENDING``, ``RUNNING``, ``COMPLETING``, ...
    rule, wildcards : str
        From the job's comment; empty where the site does not keep comments.
    elapsed : str
        Time it has run, as SLURM writes it: ``[days-]hours:minutes:seconds``.
    reason : str
        The node it runs on, or why it waits, in parentheses.
    run : str
        The job's name: one for all jobs of one controller.
    """

    id: str
    state: str
    rule: str
    wildcards: str
    elapsed: str
    reason: str
    run: str


def installed() -> bool:
    """Return whether SLURM's commands are on this machine."""
    return shutil.which("squeue") is not None


def jobs(folder: Path) -> list[Job]:
    """Return this user's queued and running jobs that were submitted from `folder`.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    user, folder = _user(), folder.resolve()
    # The comment may hold anything but a line's end, so it comes last.
    lines = _ask("squeue", "--noheader", f"--user={user}", "--format=%i|%j|%T|%M|%R|%Z|%k")
    found = []
    for line in lines:
        job, run, state, elapsed, reason, where, comment = line.split("|", 6)
        said = COMMENT.match(comment)
        if Path(where).resolve() == folder:
            rule, wildcards = (said["rule"], said["wildcards"] or "") if said else ("", "")
            found.append(Job(job, state, rule, wildcards, elapsed, reason, run))
    return found


def time_limits() -> dict[str, int | None]:
    """Return the longest time of a job in minutes, by partition; None for no limit.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    lines = _ask("sinfo", "--noheader", "--all", "--format=%R|%l")
    return {name: _minutes(limit) for name, limit in (line.split("|", 1) for line in lines)}


def _minutes(limit: str) -> int | None:
    """Return minutes of SLURM's ``[days-]hours:minutes:seconds`` or ``minutes:seconds``."""
    if not limit[:1].isdigit():
        return None  # "infinite", "n/a"
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, minutes, _ = [0] * (3 - len(parts)) + parts
    return (int(days or 0) * 24 + hours) * 60 + minutes


def gpu_partitions() -> set[str]:
    """Return the partitions that have a node with a GPU.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    lines = _ask("sinfo", "--noheader", "--all", "--format=%R|%G")
    return {line.split("|", 1)[0] for line in lines if "gpu" in line.split("|", 1)[1]}


def hosts(names: Iterable[str]) -> set[str]:
    """Return the machines that partitions run their jobs on.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    chosen = ",".join(sorted(names))
    asked = [f"--partition={chosen}"] if chosen else []
    return {line.split(".")[0] for line in _ask("sinfo", "--noheader", "-N", "--format=%n", *asked)}


def keeps_accounts() -> bool:
    """Return whether the cluster has a database of accounts and ended jobs.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    return not any(NO_ACCOUNTS.match(line) for line in _ask("scontrol", "show", "config"))


def accounts() -> set[str]:
    """Return the accounts this user may spend, in lower case; empty if the site keeps none.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    user = _user()
    lines = _ask(
        "sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={user}", "format=account"
    )
    return {line.strip().lower() for line in lines if line.strip()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _ask(*command: str) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise UserError(
            f"slurm: there is no command {command[0]} here",
            "Start the run on a login node of the cluster; elsewhere leave --profile slurm out.",
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"slurm: {command[0]} gave no answer in {SECONDS} s",
            "SLURM's controller is busy or down (scontrol ping); try again later.",
        ) from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise UserError(
            f"slurm: {command[0]}: {words[-1] if words else f'exit code {done.returncode}'}",
            "See whether SLURM answers: scontrol ping.",
        )
    return done.stdout.splitlines()
