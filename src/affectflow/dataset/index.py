"""The index of a study: every clip, its split, levels and shard, and the audit of the rest."""

from __future__ import annotations

import hashlib
import textwrap
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from affectflow import registry
from affectflow.dataset.cells import fold
from affectflow.dataset.matching import match_labels
from affectflow.dataset.records import SPLITS, AuditRow, Label, Study, Video
from affectflow.dataset.tables import write_table
from affectflow.dataset.tasks import Task, Value, write_tasks
from affectflow.errors import UserError
from affectflow.provenance.atomic import write_text
from affectflow.provenance.content import digest

SPREAD = ("mean", "sd", "min", "max")
AUDIT_COLUMNS = ("clip_id", "subject", "split", "status", "detail")


@dataclass(frozen=True)
class Clip:
    """A clip known by its video, its label, or both.

    `status` is ``ok``, ``unlabelled`` (a video without a label) or ``no_video``.
    """

    clip_id: str
    subject: str
    split: str
    path: str
    shard: int
    levels: dict[str, Value | None]
    status: str
    bytes: int


@dataclass(frozen=True)
class Index:
    """The clips of a study, in the order split, clip id."""

    root: Path
    tasks: list[Task]
    clips: list[Clip]
    audit: list[AuditRow]
    labels: list[Label] = field(default_factory=list)
    """All that were read, also those of no clip."""
    understood: list[str] = field(default_factory=list)
    """What was understood of each column of labels, a line each."""

    def shard_videos(self, shard: int) -> list[tuple[str, str]]:
        """Return the clip ids and paths (from `root`) of a shard's videos."""
        return [(c.clip_id, c.path) for c in self.clips if c.shard == shard and c.path]

    def shard_sizes(self, shard: int) -> dict[str, int]:
        """Return the paths (from `root`) and bytes of a shard's videos."""
        return {c.path: c.bytes for c in self.clips if c.shard == shard and c.path}

    def shard_digest(self, shard: int, replaced: Mapping[str, str] | None = None) -> str:
        """Return a digest of what decides a shard's pixels: its videos' ids, paths and sizes.

        Parameters
        ----------
        shard : int
        replaced : mapping, optional
            Path to SHA-256 of replaced videos: of `dataset.contents.replaced_since`.
        """
        others = replaced or {}
        return digest(
            [c.clip_id, c.path, c.bytes, *([others[c.path]] if c.path in others else [])]
            for c in self.clips
            if c.shard == shard and c.path
        )

    def told(self) -> str:
        """Return in words what was understood of the columns of labels."""
        lines = [
            textwrap.fill(line, 100, initial_indent="  ", subsequent_indent="      ")
            for line in self.understood
        ]
        return "\n".join(["The labels, as they were understood:", *lines])

    def digest(self) -> str:
        """Return a digest of the clips that were found, whatever their labels."""
        return digest([c.clip_id, c.split, c.subject, c.path, c.bytes] for c in self.clips)


def shard_of(clip_id: str, shards: int) -> int:
    """Return the shard of a clip: a hash of its id, so that no clip moves when another comes."""
    return int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") % shards


def label_files(settings: Mapping[str, Any]) -> list[Path]:
    """Return the label files of the data set that `dataset` in the config names."""
    return registry.load("dataset.layouts", settings["layout"]).files(dict(settings))


def build_index(settings: Mapping[str, Any], shards: int) -> Index:
    """Index the data set that `dataset` in the config names. Opens no video.

    Raises
    ------
    UserError
        If the data set can't be read, or a subject is on two sides of the split.
    """
    study = registry.load("dataset.layouts", settings["layout"]).read(dict(settings))
    _refuse_two_spellings(study.videos)
    _refuse_shared_subjects(study.videos)
    audit = list(study.audit)
    videos = {video.clip_id: video for video in study.videos}
    study = replace(study, labels=match_labels(study.labels, videos, audit))
    labels = _unique_labels(study, audit)
    clips = []
    for clip_id in sorted(videos.keys() | labels.keys()):
        video, label = videos.get(clip_id), labels.get(clip_id)
        if video and label and video.split != label.split:
            detail = f"{label.where}: the video is in {video.split}"
            audit.append(AuditRow(clip_id, label.subject, label.split, "other_split", detail))
            label = None
        clips.append(_clip(video, label, shards))
        audit += _explain(clips[-1], video, label, study)
    order = {split: i for i, split in enumerate(SPLITS)}
    clips.sort(key=lambda clip: (order[clip.split], clip.clip_id))
    audit.sort(key=lambda row: (order[row.split], row.clip_id, row.status))
    if not videos:
        raise UserError(f"dataset: there is no video under {study.root}", "Check dataset.root.")
    return Index(study.root, study.tasks, clips, audit, study.labels, study.understood)


def write_index(index: Index, folder: Path) -> None:
    """Write clips.csv, levels.csv, tasks.json, index_audit.csv and understood.txt."""
    names = [task.name for task in index.tasks]
    write_table(
        folder / "clips.csv",
        ["clip_id", "subject", "split", "path", "shard", *names, "status"],
        (
            {"clip_id": c.clip_id, "subject": c.subject, "split": c.split, "path": c.path}
            | {"shard": c.shard, "status": c.status}
            | {name: c.levels[name] for name in names}
            for c in index.clips
        ),
    )
    most = max(len(task.levels) for task in index.tasks)
    real = SPREAD if any(task.kind == "real" for task in index.tasks) else ()
    write_table(
        folder / "levels.csv",
        ["split", "state", *(f"level_{i}" for i in range(most)), *real, "total"],
        level_counts(index),
    )
    write_tasks(folder / "tasks.json", index.tasks)
    write_audit(folder / "index_audit.csv", index.audit)
    write_text(folder / "understood.txt", index.told() + "\n")


def write_audit(path: Path, rows: list[AuditRow]) -> None:
    """Write audit rows as CSV."""
    write_table(path, AUDIT_COLUMNS, (asdict(row) for row in rows))


def level_counts(index: Index) -> list[dict[str, Any]]:
    """Count the labels of each split, task and level: the dissertation's Table 4.1.

    Every label counts, whether its clip has a video or not, as in the table. Of a real-valued task
    there are the `SPREAD` of its labels instead.
    """
    labels: dict[tuple[str, str], list[Value]] = defaultdict(list)
    for clip in index.clips:
        for name, value in clip.levels.items():
            if value is not None:
                labels[clip.split, name].append(value)
    return [
        {"split": split, "state": task.name, "total": len(labels[split, task.name])}
        | _spread_of(task, labels[split, task.name])
        for split in SPLITS
        for task in index.tasks
    ]


def _spread_of(task: Task, labels: list[Value]) -> dict[str, Value]:
    if task.kind != "real":
        counts = Counter(labels)
        return {f"level_{code}": counts[code] for code in range(len(task.levels))}
    if not labels:
        return {}
    return {"mean": fmean(labels), "sd": pstdev(labels), "min": min(labels), "max": max(labels)}


def _refuse_two_spellings(videos: list[Video]) -> None:
    """Refuse ``s1`` beside ``S1``, or ``7`` beside ``07`` or ``7.0``: they may be one person."""
    first: dict[str, Video] = {}
    for video in videos:
        name = fold(video.subject).removesuffix(".0")
        name = str(int(name)) if name.isdecimal() else name
        other = first.setdefault(name, video)
        if other.subject != video.subject:
            raise UserError(
                f"dataset: subjects '{other.subject}' (clip {other.clip_id}) and "
                f"'{video.subject}' (clip {video.clip_id}): one person or two?",
                "Write one person's name in one way; give two people names that differ in more "
                "than capitals, blanks or zeros.",
            )


def _refuse_shared_subjects(videos: list[Video]) -> None:
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for video in videos:
        splits[video.subject].setdefault(video.split, video.clip_id)
    shared = {subject: seen for subject, seen in splits.items() if len(seen) > 1}
    if shared:
        subject, seen = min(shared.items())
        where = ", ".join(f"{split} (clip {clip})" for split, clip in sorted(seen.items()))
        raise UserError(
            f"dataset: {len(shared)} subject(s) on two sides of the split; subject {subject} is "
            f"in {where}",
            "Put all clips of a subject into one split: a model that has seen the face of a test "
            "subject is not tested.",
        )


def _unique_labels(study: Study, audit: list[AuditRow]) -> dict[str, Label]:
    levels = {task.name: len(task.levels) for task in study.tasks if task.kind != "real"}
    labels: dict[str, Label] = {}
    conflicts: dict[str, Label] = {}
    for raw in study.labels:
        usable = dict(raw.levels)
        for name, code in raw.levels.items():
            if code is not None and name in levels and not 0 <= code < levels[name]:
                detail = f"{raw.where}: {name} has a level that is not one of its {levels[name]}"
                audit.append(_row(raw, "level_out_of_range", detail))
                usable[name] = None
        label = Label(raw.clip_id, raw.subject, raw.split, usable, raw.where)
        first = labels.setdefault(raw.clip_id, label)
        if first is label:
            continue
        if (first.levels, first.split) != (label.levels, label.split):
            conflicts[raw.clip_id] = first
            detail = f"{label.where} contradicts {first.where}: neither is used"
            audit.append(_row(label, "conflicting_label", detail))
        else:
            detail = f"{label.where} repeats {first.where}"
            audit.append(_row(label, "duplicate_label", detail))
    for clip_id, label in conflicts.items():
        nothing = dict.fromkeys(label.levels)
        labels[clip_id] = Label(clip_id, label.subject, label.split, nothing, label.where)
    return labels


def _row(label: Label, status: str, detail: str) -> AuditRow:
    return AuditRow(label.clip_id, label.subject, label.split, status, detail)


def _clip(video: Video | None, label: Label | None, shards: int) -> Clip:
    known = video or label
    assert known is not None
    levels = label.levels if label else {}
    labelled = any(code is not None for code in levels.values())
    return Clip(
        clip_id=known.clip_id,
        subject=known.subject,
        split=known.split,
        path=video.path if video else "",
        shard=shard_of(known.clip_id, shards),
        levels=defaultdict(lambda: None, levels),
        status="no_video" if not video else "ok" if labelled else "unlabelled",
        bytes=video.bytes if video else 0,
    )


def _explain(clip: Clip, video: Video | None, label: Label | None, study: Study) -> list[AuditRow]:
    def row(status: str, detail: str) -> list[AuditRow]:
        return [AuditRow(clip.clip_id, clip.subject, clip.split, status, detail)]

    if video is None and label is not None:
        why = study.why_none.get(label.clip_id)
        hint = f" ({why})" if why else ""
        return row("no_video", f"{label.where}: a label without a video{hint}")
    if clip.status == "unlabelled":
        elsewhere = study.elsewhere.get(clip.clip_id)
        hint = f"; {elsewhere} has one" if elsewhere and label is None else ""
        return row("unlabelled", f"{clip.path}: a video without a usable label{hint}")
    missing = [task.name for task in study.tasks if clip.levels[task.name] is None]
    if missing:
        return row("missing_level", f"no usable level of {', '.join(missing)}")
    return []
