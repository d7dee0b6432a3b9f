"""Anyone's videos: one table, ``clips.csv``, with ``clip_id, subject, split, path`` and the tasks.

Every other column is a task. Whole numbers make an ordinal task with levels 0 to the largest
seen, anything else a nominal one with the values seen; `dataset.tasks` in the config says more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectflow.dataset.droppings import is_dropping
from affectflow.dataset.matching import refuse_lost
from affectflow.dataset.missing import Missing
from affectflow.dataset.paths import find_files, inside
from affectflow.dataset.records import PASSED_OVER, SPLITS, AuditRow, Label, Study, Video
from affectflow.dataset.tables import level, read_table
from affectflow.dataset.tasks import Task
from affectflow.dataset.text import beside
from affectflow.errors import UserError, did_you_mean

REQUIRED = ("clip_id", "subject", "split", "path")
RESERVED = ("shard", "status")
MOST_LEVELS = 50
OTHER_WORDS = {
    "train": ("training", "trn"),
    "validation": ("val", "valid", "validate", "dev", "development"),
    "test": ("testing", "tst"),
}
READ_AS = "path_read_as"
NO_LEVEL = -1  # the index audits and drops it


def files(settings: dict) -> list[Path]:
    """Return the manifest's path."""
    return [_manifest(settings)]


def read(settings: dict) -> Study:
    """Read the manifest and look at the videos it names.

    Raises
    ------
    UserError
        If the manifest is missing or malformed, a required cell is empty, a split or task is
        unknown, a path leads out of the root, or no video it names exists.
    """
    path = _manifest(settings)
    columns, rows = read_table(path, REQUIRED)
    top = Path(settings.get("root") or path.parent).expanduser()
    for name in RESERVED:
        if name in columns:
            raise UserError(f"{path}: column {name} is made by the pipeline", "Rename it.")
    tasks = _tasks(path, columns, rows, settings.get("tasks") or {})
    for column in ("clip_id", "subject"):
        refuse_lost(str(path), column, (row[column] for row in rows))
    paths = [_inside(path, row, top) for row in rows]
    files = find_files(top, paths)
    videos: dict[str, Video] = {}
    labels, audit, why_none = [], [], {}
    missing = Missing(top)
    for row, wanted in zip(rows, paths, strict=True):
        clip, subject = row["clip_id"], row["subject"]
        where = f"{path.name}, row {row['']}"
        split = _split(path, row)
        if any(map(is_dropping, Path(wanted).parts)):
            detail = f"{where}: {row['path']} is what a system leaves beside files, not a video"
            audit.append(AuditRow(clip, subject, split, PASSED_OVER, detail))
            continue
        file = files.get(wanted)
        if file is None and clip not in videos:
            why_none[clip] = missing.explain(wanted)
        if clip in videos:
            audit.append(AuditRow(clip, subject, split, "duplicate_video", f"{where}: passed over"))
        elif file is not None:
            videos[clip] = Video(clip, subject, split, file, (top / file).stat().st_size)
            if file != wanted:
                detail = f"{where}: path '{row['path']}' is read as {file}"
                audit.append(AuditRow(clip, subject, split, READ_AS, detail))
        levels = {task.name: _code(path, row, task) for task in tasks}
        labels.append(Label(clip, subject, split, levels, where))
    if not videos:
        raise UserError(
            f"{path}: none of its {len(rows)} videos exists under {top}"
            + "".join(f"; of {clip}, {why}" for clip, why in [*why_none.items()][:1]),
            "Set dataset.root to the folder that its paths start from.",
        )
    return Study(top, tasks, list(videos.values()), labels, audit, why_none=why_none)


def _inside(path: Path, row: dict[str, str], top: Path) -> str:
    for name in REQUIRED:
        if not row[name]:
            raise UserError(f"{path}: row {row['']} has no {name}", "Fill it in.")
    found = inside(row["path"], top)
    if found is None:
        raise UserError(
            f"{path}: row {row['']}: path {row['path']!r} leads out of dataset.root, {top}",
            "Give paths from dataset.root; set that to a folder above all videos.",
        )
    return found


def _split(path: Path, row: dict[str, str]) -> str:
    word = row["split"].lower()
    if word in SPLITS:
        return word
    meant = [split for split, others in OTHER_WORDS.items() if word in others]
    if not meant:
        raise UserError(f"{path}: row {row['']}: split '{word}'", did_you_mean(word, SPLITS))
    return meant[0]


def _manifest(settings: dict) -> Path:
    if not settings.get("clips"):
        raise UserError("dataset.clips: the manifest layout needs the path of a clips.csv")
    path = Path(settings["clips"]).expanduser()
    if not path.is_file():
        raise UserError(
            f"dataset.clips: there is no file {path}",
            beside(path) or "Give the path of clips.csv.",
        )
    return path


def _tasks(path: Path, columns: list[str], rows: list[dict], given: dict[str, Any]) -> list[Task]:
    available = [name for name in columns if name not in REQUIRED and name]
    for name in given:
        if name not in available:
            raise UserError(
                f"dataset.tasks: {path} has no column '{name}'", did_you_mean(name, available)
            )
    tasks = []
    for name in given or available:
        cells = {_plain(row[name]) for row in rows} - {""}
        wanted = given.get(name) or {}
        whole = all(cell.isdecimal() for cell in cells)
        kind = wanted.get("kind", "ordinal" if whole or "levels" in wanted else "nominal")
        levels = wanted.get("levels")
        if isinstance(levels, list):
            names = tuple(str(item) for item in levels)
        elif isinstance(levels, int) or (levels is None and whole):
            count = levels or max((int(cell) for cell in cells), default=1) + 1
            names = tuple(str(code) for code in range(min(count, MOST_LEVELS + 1)))
        elif kind == "ordinal":
            raise UserError(
                f"{path}: column {name} has words, and their order is not known",
                f"List them, lowest first, in dataset.tasks.{name}.levels, or set kind: nominal.",
            )
        else:
            names = tuple(sorted(cells))
        if len(names) > MOST_LEVELS:
            raise UserError(
                f"{path}: column {name} has more than {MOST_LEVELS} levels: is it a task?",
                "Name the columns that are tasks under dataset.tasks in the config.",
            )
        tasks.append(Task(name, kind, names))
    if not tasks:
        raise UserError(f"{path}: has no task column", "Add a column of levels beside the paths.")
    return tasks


def _plain(cell: str) -> str:
    """Return 2.0, as tables write whole numbers beside empty cells, as 2."""
    head, _, tail = cell.partition(".")
    return head if tail and not tail.strip("0") else cell


def _code(path: Path, row: dict[str, str], task: Task) -> int | None:
    cell = _plain(row[task.name])
    if not cell:
        return None
    if cell in task.levels:
        return task.levels.index(cell)
    if all(name.isdecimal() for name in task.levels):
        level(path, row, task.name)
        return NO_LEVEL
    raise UserError(
        f"{path}: row {row['']}, column {task.name}: unknown level '{cell}'",
        did_you_mean(cell, task.levels),
    )
