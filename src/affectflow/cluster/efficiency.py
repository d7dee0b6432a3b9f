"""What a run's jobs asked SLURM for and used, and what the next run should ask for.

Reads the CSV files that Snakemake's executor writes (``--slurm-efficiency-report``). Imports
nothing heavy.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from affectflow.cluster.slurm import COMMENT
from affectflow.errors import UserError
from affectflow.planning.jobs import STAGES
from affectflow.planning.text import duration

REPORTS = Path("logs/efficiency")
PATTERN = "efficiency_report_*.csv"
COLUMNS = ("RuleName", "Elapsed_sec", "TotalCPU_sec", "NCPUS", "MaxRSS_MB", "RequestedMem_MB")
HEADROOM = 1.25
MEMORY_STEP = 500
BATCH_MB = 150
"""A job's limit also holds the Snakemake of its batch step, which the reports leave out."""
TIME_HEADROOM = 1.5
SHORTEST = 10
# The number of threads decides the last bits of a sum: another one is another model.
FIXED_THREADS = ("train", "train_pooled", "fine_tune")
LAYOUT = "{:14}{:>5}{:>7} {:>7}{:>8}{:>7}{:>6}{:>8}{:>8}{:>8}"
HEADER = (
    ("", "", "time", "", "memory", "MB", "CPU", "ask for", "", ""),
    ("", "jobs", "median", "max", "asked", "peak", "used", "mem_mb", "runtime", "threads"),
)


@dataclass(frozen=True)
class Used:
    """What a job asked for and used, with the Snakemake that runs within its step.

    Attributes
    ----------
    rule : str
    seconds, cpu_seconds : float
        From start to end, and of all cores together.
    cores : int
    asked_mb, peak_mb : float
        Memory as SLURM counts it; 0 where SLURM did not say.
    """

    rule: str
    seconds: float
    cpu_seconds: float
    cores: int
    asked_mb: float
    peak_mb: float


@dataclass(frozen=True)
class Advice:
    """A rule's jobs in figures, and what to ask for: for the first attempt; None for no advice.

    Attributes
    ----------
    rule : str
    jobs : int
    median_s, longest_s : float
        Time of a job, seconds.
    asked_mb, peak_mb : float
        Memory: what the jobs asked for (median), and the most that one used.
    cpu : float
        Share of the cores' time that was used.
    cores : int
        What the jobs were given, at most.
    mem_mb, runtime, threads : int or None
        MB, minutes, cores.
    """

    rule: str
    jobs: int
    median_s: float
    longest_s: float
    asked_mb: float
    peak_mb: float
    cpu: float
    cores: int
    mem_mb: int | None
    runtime: int
    threads: int | None


def reports(folder: Path, newest: int | None = None) -> list[Path]:
    """Return the reports of the study in `folder`, the newest first; at most `newest` of them.

    Raises
    ------
    UserError
        If there are none.
    """
    found = sorted((folder / REPORTS).glob(PATTERN), key=lambda path: -path.stat().st_mtime)
    if not found:
        raise UserError(
            f"{folder / REPORTS}: there are no reports of what jobs used",
            "A run with snakemake --profile slurm writes one when it ends, if SLURM keeps accounts "
            "(sacct lists your jobs). --directory names the study's folder.",
        )
    return found[:newest]


def read_report(path: Path) -> list[Used]:
    """Return the jobs of a report.

    Raises
    ------
    UserError
        If it is no such report, or the site keeps no comments, and so no names of rules.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing == ["RuleName"]:
            raise UserError(
                f"{path}: says of no job which rule it was",
                "This SLURM keeps no comments in its accounts. Ask the site's administrators for "
                "AccountingStoreFlags=job_comment, or look at the ends of the files in logs/.",
            )
        if missing:
            raise UserError(
                f"{path}: is no report of Snakemake's executor: no column {missing[0]}",
                "Move it elsewhere, or name fewer reports: --newest 1.",
            )
        named = ((row, COMMENT.match(row["RuleName"])) for row in rows)
        return [_used(row, name["rule"]) for row, name in named if name]


def advise(jobs: Iterable[Used]) -> list[Advice]:
    """Return a line of advice per rule, in the order of the stages."""
    by_rule: dict[str, list[Used]] = {rule: [] for rule in STAGES}
    for job in jobs:
        by_rule.setdefault(job.rule, []).append(job)
    return [_advise(rule, used) for rule, used in by_rule.items() if used]


def describe(advice: Sequence[Advice]) -> str:
    """Return the advice as a table for a terminal of 80 columns."""
    return "\n".join(LAYOUT.format(*cells).rstrip() for cells in (*HEADER, *map(_cells, advice)))


def profile_lines(advice: Sequence[Advice]) -> str:
    """Return the advice as lines for a profile.

    A value there replaces the rule's own, which doubles with each attempt; so these double too.
    """
    lines = ["set-resources:"]
    for one in advice:
        lines.append(f"  {one.rule}:")
        if one.mem_mb:
            lines.append(f'    mem_mb: "{one.mem_mb} * 2 ** (attempt - 1)"')
        lines.append(f'    runtime: "{one.runtime} * 2 ** (attempt - 1)"')
    fewer = [one for one in advice if one.threads and one.threads < one.cores]
    if fewer:
        lines += ["set-threads:", *(f"  {one.rule}: {one.threads}" for one in fewer)]
    return "\n".join(lines)


def _used(row: Mapping[str, str], rule: str) -> Used:
    seconds, cpu, cores, peak, asked = (
        float(row[name] or 0)
        for name in ("Elapsed_sec", "TotalCPU_sec", "NCPUS", "MaxRSS_MB", "RequestedMem_MB")
    )
    return Used(rule, seconds, cpu, max(1, int(cores)), asked, peak)


def _advise(rule: str, jobs: list[Used]) -> Advice:
    peak, longest = max(job.peak_mb for job in jobs), max(job.seconds for job in jobs)
    cores, cpu = max(job.cores for job in jobs), sum(job.cpu_seconds for job in jobs)
    minutes = longest / 60 * TIME_HEADROOM
    threads = None
    if cpu and rule not in FIXED_THREADS:
        # Never more than the rule has: for what it uses of more, nobody looked.
        busy = cpu / max(1.0, sum(job.seconds for job in jobs))
        threads = min(cores, max(1, _up(busy * HEADROOM, 1)))
    return Advice(
        rule,
        len(jobs),
        median(job.seconds for job in jobs),
        longest,
        median(job.asked_mb for job in jobs),
        peak,
        cpu / max(1.0, sum(job.seconds * job.cores for job in jobs)),
        cores,
        _up(peak * HEADROOM + BATCH_MB, MEMORY_STEP) if peak else None,
        max(SHORTEST, _up(minutes, 10 if minutes <= 120 else 30)),
        threads,
    )


def _up(value: float, step: int) -> int:
    return math.ceil(value / step) * step


def _cells(one: Advice) -> tuple[str, ...]:
    return (
        one.rule,
        str(one.jobs),
        duration(one.median_s),
        duration(one.longest_s),
        f"{one.asked_mb:.0f}" if one.asked_mb else "?",
        f"{one.peak_mb:.0f}" if one.peak_mb else "?",
        f"{one.cpu:.0%}",
        str(one.mem_mb or "?"),
        str(one.runtime),
        str(one.threads or "as is"),
    )
