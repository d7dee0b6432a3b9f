"""DAiSEE as distributed: ``DataSet/<Split>/<subject>/<clip>/<clip>.<avi|mp4>`` and ``Labels/``.

A clip's subject is the first six digits of its id. Labels come from the split's own file;
``AllLabels.csv`` only helps to explain what is missing there (Gupta et al. 2016).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from affectflow.dataset.cells import is_percentage, number
from affectflow.dataset.droppings import is_hidden
from affectflow.dataset.folders import (
    FOLDER,
    child,
    entries,
    is_folder,
    kind_of,
    shown,
    why_no_video,
)
from affectflow.dataset.no_label import NoLabel
from affectflow.dataset.records import (
    PASSED_OVER,
    SPLITS,
    VIDEO_SUFFIXES,
    AuditRow,
    Label,
    Study,
    Video,
)
from affectflow.dataset.tables import read_table
from affectflow.dataset.tasks import DAISEE_TASKS, Task, Value
from affectflow.dataset.understood import counted
from affectflow.errors import UserError

SUBJECT_DIGITS = 6
# Gupta et al. 2016.
ABOUT = (
    "DAiSEE's labels are crowd votes with known noise: what onlookers thought they saw, not what "
    "the student felt, and part of each error is the label's.",
    "All of DAiSEE's participants are Asian, and 80 of 112 are male: nothing here says how a model "
    "does for other people.",
)
COLUMNS = {task.name: task.name.capitalize() for task in DAISEE_TASKS}


def files(settings: dict) -> list[Path]:
    """Return the label files of the splits, and AllLabels where there is one."""
    labels = child(_root(settings), "Labels")
    everything = child(labels, "AllLabels.csv")
    return [child(labels, f"{split.capitalize()}Labels.csv") for split in SPLITS] + (
        [everything] if everything.is_file() else []
    )


def read(settings: dict) -> Study:
    """Read DAiSEE's folders and label files.

    Raises
    ------
    UserError
        If a folder or label file is missing, empty or malformed.
    """
    folder = _root(settings)
    videos, audit = _videos(folder)
    missing = NoLabel(settings.get("missing") or [])
    labels: list[Label] = []
    of_splits, everything = files(settings)[: len(SPLITS)], files(settings)[len(SPLITS) :]
    for split, path in zip(SPLITS, of_splits, strict=True):
        labels += _labels(path, split, missing)
    elsewhere = {
        label.clip_id: path.name
        for path in everything
        for label in sorted(_labels(path, "", missing), key=lambda label: label.clip_id)
    }
    understood = [_understood(task, [x.levels[task.name] for x in labels]) for task in DAISEE_TASKS]
    return Study(folder, DAISEE_TASKS, videos, labels, audit, elsewhere, understood=understood)


def _understood(task: Task, values: Sequence[Value | None]) -> str:
    missing = values.count(None)
    parts = counted(task, values) + [f"{missing:,} missing"] * bool(missing)
    return f"{task.name}: {', '.join(parts)}"


def _root(settings: dict) -> Path:
    top = Path(settings.get("root") or "").expanduser()
    for folder in (top, *(child(top, name) for name in ("DataSet", "Labels") if is_folder(top))):
        if not is_folder(folder):
            raise UserError(
                f"dataset.root: there is no folder {folder}",
                "It must be the folder that holds DAiSEE's DataSet/ and Labels/. "
                "For the demo corpus, run `make demo`.",
            )
    return top


def _videos(top: Path) -> tuple[list[Video], list[AuditRow]]:
    found: dict[str, Video] = {}
    audit: list[AuditRow] = []
    for split in SPLITS:
        folder = child(child(top, "DataSet"), split.capitalize())
        for entry in _files(folder, depth=2) if is_folder(folder) else ():
            name = Path(entry.name)
            if name.suffix.lower() not in VIDEO_SUFFIXES:
                continue
            clip, path = name.stem, os.path.relpath(entry.path, top)
            if why := why_no_video(entry, path):
                words = shown(clip), shown(clip[:SUBJECT_DIGITS])
                audit.append(AuditRow(*words, split, PASSED_OVER, why))
                continue
            video = Video(clip, clip[:SUBJECT_DIGITS], split, path, entry.stat().st_size)
            first = found.setdefault(clip, video)
            if first is not video:
                detail = f"{path}: {first.path} is used"
                audit.append(AuditRow(clip, video.subject, split, "duplicate_video", detail))
    return list(found.values()), audit


def _files(folder: Path, depth: int) -> Iterator[os.DirEntry[str]]:
    for entry in entries(folder):
        if kind_of(entry) != FOLDER:
            if depth == 0:
                yield entry
        elif depth and not is_hidden(entry.name):
            yield from _files(Path(entry.path), depth - 1)


def _labels(path: Path, split: str, missing: NoLabel) -> list[Label]:
    _, rows = read_table(path, ["ClipID", *COLUMNS.values()])
    labels = []
    for row in rows:
        clip = row["ClipID"]
        if Path(clip).suffix.lower() in VIDEO_SUFFIXES:
            clip = Path(clip).stem
        levels: dict[str, Value | None] = {
            name: None if missing(row[column]) else _level(path, row, column)
            for name, column in COLUMNS.items()
        }
        where = f"{path.name}, row {row['']}"
        labels.append(Label(clip, clip[:SUBJECT_DIGITS], split, levels, where))
    return labels


def _level(path: Path, row: Mapping[str, str], column: str) -> int:
    value = number(row[column])
    if value is None or is_percentage(row[column]) or not value.is_integer():
        raise UserError(
            f"{path}: row {row['']}, column {column}: '{row[column]}' is not a level",
            "Levels are whole numbers: 0, 1, 2, 3. Where it says that there is no level: "
            f"dataset.missing: ['{row[column]}'] in the config.",
        )
    return int(value)
