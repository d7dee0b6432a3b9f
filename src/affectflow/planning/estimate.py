"""What the jobs that are left will take: time, disk, files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from affectflow.config.study import Study
from affectflow.dataset.index import Index
from affectflow.planning import sizes
from affectflow.planning.disk import Usage, new_entries, size_of, usage
from affectflow.planning.jobs import (
    BY_EPOCHS,
    EMBED,
    FACES,
    FRAMES,
    STAGES,
    Job,
    Place,
    shards_left,
)
from affectflow.planning.needs import Needs, bytes_per_face
from affectflow.planning.rates import START, Rates, expected_device, read_logs
from affectflow.planning.work import Work, count_work

FRAMES_FILE = "results/frames/shard-{:03d}.h5"


@dataclass(frozen=True)
class Row:
    """A rule's jobs.

    Attributes
    ----------
    rule : str
    jobs : int
    device : str
        ``cpu``, ``cuda`` or ``mps``.
    seconds : tuple of float
        Of each job; empty for short jobs, whose time is not estimated.
    bytes : float
        What they write; for frames, all of them, though never at once on disk.
    """

    rule: str
    jobs: int
    device: str
    seconds: tuple[float, ...]
    bytes: float

    @property
    def hours(self) -> float:
        """All jobs one after the other."""
        return sum(self.seconds) / 3600

    @property
    def typical(self) -> float:
        """Seconds of the median job."""
        return median(self.seconds) if self.seconds else 0.0

    @property
    def longest(self) -> float:
        """Seconds of the longest job."""
        return max(self.seconds, default=0.0)


@dataclass(frozen=True)
class Plan:
    """An answer to: what will this run take?

    Attributes
    ----------
    rows : list of Row
        The stages first, then the rules of short jobs.
    place : Place
    work : Work
        The whole study's clips and frames.
    rates : Rates
        What the times rest on.
    now, final : Usage
        The study's results, logs and state, before the run and after it.
    frames_at_once : list of float
        Bytes of the shards of frames that this run needs, largest first.
    frame_bytes, face_bytes : float
        Of one temporary frame, and of one face that is kept.
    shards_per_embedding : int
    fresh : frozenset of str
        Stages with all their jobs still to do, so that the size of the jobs could be chosen anew.
    """

    rows: list[Row]
    place: Place
    work: Work
    rates: Rates
    now: Usage
    final: Usage
    frames_at_once: list[float]
    frame_bytes: float
    face_bytes: float
    shards_per_embedding: int
    fresh: frozenset[str]

    def row(self, rule: str) -> Row | None:
        """Return a rule's row, or None if the rule has nothing to do."""
        return next((row for row in self.rows if row.rule == rule), None)

    @property
    def gpu_hours(self) -> float:
        """Hours of one GPU."""
        return sum(row.hours for row in self.rows if row.device != "cpu")

    @property
    def cpu_hours(self) -> float:
        """Hours of one core, without the short jobs'."""
        return sum(row.hours for row in self.rows if row.device == "cpu")

    @property
    def shards_at_once(self) -> int:
        """Shards of frames on disk at the same time, at most."""
        limit, left = self.place.frames_on_disk, len(self.frames_at_once)
        return left if limit is None else min(limit, left)

    @property
    def temporary(self) -> float:
        """Bytes of frames on disk at the same time, at most."""
        return sum(self.frames_at_once[: self.shards_at_once])

    @property
    def peak(self) -> Usage:
        """Disk at its fullest: all results, and the frames that may be there with them."""
        return self.final + Usage(self.temporary, self.shards_at_once)


def make_plan(
    jobs: Sequence[Job],
    study: Study,
    index: Index,
    place: Place,
    folder: Path,
) -> Plan:
    """Estimate what a run will take.

    Parameters
    ----------
    jobs : sequence of Job
        Those left to do.
    study : Study
    index : Index
    place : Place
    folder : Path
        The study's folder; its logs and finished shards are looked at.
    """
    logs = {rule: read_logs(folder, rule) for rule in STAGES}
    left = shards_left(jobs, FACES)
    settings, shards = study.settings, len(study.shards)
    done = {
        shard: log
        for shard in set(range(shards)) - left
        if (log := logs[FACES].get(f"shard-{shard:03d}"))
    }
    work = count_work(index.clips, shards, settings["frames"], done)
    face_bytes = bytes_per_face(settings["faces"]["crop_size"], work, done, folder)
    needs = Needs(study, index, work, face_bytes)
    for rule in BY_EPOCHS:
        logs[rule] = needs.training_logs(logs[rule], jobs, folder)
    known = [log for rule in (FACES, EMBED, *BY_EPOCHS) for log in logs[rule].values()]
    device = expected_device(settings["device"], place.cluster, known)
    given = settings.get("rates") or {}
    rates = Rates(given, logs, device, settings["faces"]["min_size"])

    def seconds(job: Job) -> float:
        rate = rates.of(job.rule, job.wildcards.get("backbone", ""))
        return START + needs.frames(job) / rate.per_second

    of_rule: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        of_rule[job.rule].append(job)
    rows = [
        Row(
            rule,
            len(own),
            rates.where(rule),
            tuple(seconds(job) for job in own) if rule in STAGES else (),
            sum(needs.bytes(job) for job in own),
        )
        for rule, own in sorted(of_rule.items(), key=lambda item: _place_in_table(item[0]))
    ]
    all_jobs = {FACES: shards, EMBED: len(study.embedding_shards) * len(study.backbones)}
    # Frames that are there already are read by this run, and removed like those it makes.
    frames = {shard: float(size_of(folder / FRAMES_FILE.format(shard))) for shard in left}
    made = {int(job.wildcards["shard"]): job for job in of_rule[FRAMES]}
    frames |= {shard: needs.bytes(job) for shard, job in made.items()}
    now = usage(folder)
    return Plan(
        rows,
        place,
        work,
        rates,
        now,
        _final(now, jobs, rows, left, folder),
        sorted((size for size in frames.values() if size), reverse=True),
        needs.frame_bytes,
        face_bytes,
        settings["shards_per_embedding"],
        frozenset(rule for rule, count in all_jobs.items() if len(of_rule[rule]) == count),
    )


def _final(
    now: Usage, jobs: Sequence[Job], rows: Sequence[Row], left: set[int], folder: Path
) -> Usage:
    lasting = [job for job in jobs if not job.temporary]
    outputs = [path for job in lasting for path in job.outputs]
    logs = [path for job in jobs for path in job.logs]
    replaced = sum(size_of(folder / path) for path in outputs)
    records = sum(not (folder / path).exists() for path in outputs)
    removed = [size for i in left if (size := size_of(folder / FRAMES_FILE.format(i)))]
    written = sum(row.bytes for row in rows if row.rule != FRAMES)
    return Usage(
        now.bytes + written + len(outputs) * sizes.METADATA_BYTES - replaced - sum(removed),
        now.files + new_entries(folder, [*outputs, *logs]) + records - len(removed),
    )


def _place_in_table(rule: str) -> tuple[int, str]:
    return STAGES.index(rule) if rule in STAGES else len(STAGES), rule
