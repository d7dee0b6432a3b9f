"""Anyone's videos: one table, ``clips.csv``, with ``clip_id, subject, split, path`` and the tasks.

Every other column may be a task: `affectflow.dataset.columns` says which, and what cells mean.
"""

from __future__ import annotations

from pathlib import Path

from affectflow.dataset.columns import understand
from affectflow.dataset.droppings import is_dropping
from affectflow.dataset.matching import refuse_lost
from affectflow.dataset.no_file import NoFile
from affectflow.dataset.paths import find_files, inside, root_of
from affectflow.dataset.records import PASSED_OVER, SPLITS, AuditRow, Label, Study, Video
from affectflow.dataset.tables import read_table
from affectflow.dataset.text import beside
from affectflow.errors import UserError, did_you_mean

REQUIRED = ("clip_id", "subject", "split", "path")
RESERVED = ("shard", "status")
OTHER_WORDS = {
    "train": ("training", "trn"),
    "validation": ("val", "valid", "validate", "dev", "development"),
    "test": ("testing", "tst"),
}
READ_AS = "path_read_as"


def files(settings: dict) -> list[Path]:
    """Return the manifest's path."""
    return [_manifest(settings)]


def read(settings: dict) -> Study:
    """Read the manifest and look at the videos it names.

    Raises
    ------
    UserError
        If the manifest is missing or malformed, a required cell is empty, a split or task is
        unknown, a column can't be understood, a path leads out of the root, or no video it names
        exists.
    """
    path = _manifest(settings)
    columns, rows = read_table(path, REQUIRED)
    top = root_of(settings)
    for name in RESERVED:
        if name in columns:
            raise UserError(f"{path}: column {name} is made by the pipeline", "Rename it.")
    available = [name for name in columns if name not in REQUIRED and name]
    understood = understand(path, available, rows, settings)
    tasks = {column.name: column for column in understood if column.task}
    for column in ("clip_id", "subject"):
        refuse_lost(str(path), column, (row[column] for row in rows))
    paths = [_inside(path, row, top) for row in rows]
    files = find_files(top, paths)
    videos: dict[str, Video] = {}
    labels, audit, why_none = [], [], {}
    no_file = NoFile(top)
    for place, (row, wanted) in enumerate(zip(rows, paths, strict=True)):
        clip, subject = row["clip_id"], row["subject"]
        where = f"{path.name}, row {row['']}"
        split = _split(path, row)
        if any(map(is_dropping, Path(wanted).parts)):
            detail = f"{where}: {row['path']} is what a system leaves beside files, not a video"
            audit.append(AuditRow(clip, subject, split, PASSED_OVER, detail))
            continue
        file = files.get(wanted)
        if file is None and clip not in videos:
            why_none[clip] = no_file.explain(wanted)
        if clip in videos:
            audit.append(AuditRow(clip, subject, split, "duplicate_video", f"{where}: passed over"))
        elif file is not None:
            videos[clip] = Video(clip, subject, split, file, (top / file).stat().st_size)
            if file != wanted:
                detail = f"{where}: path '{row['path']}' is read as {file}"
                audit.append(AuditRow(clip, subject, split, READ_AS, detail))
        levels = {name: value.values[place] for name, value in tasks.items()}
        labels.append(Label(clip, subject, split, levels, where))
    if not videos:
        raise UserError(
            f"{path}: none of its {len(rows)} videos exists under {top}"
            + "".join(f"; of {clip}, {why}" for clip, why in [*why_none.items()][:1]),
            "Set dataset.root to the folder that its paths start from.",
        )
    return Study(
        top,
        [column.task for column in understood if column.task],
        list(videos.values()),
        labels,
        audit,
        why_none=why_none,
        understood=[column.line() for column in understood],
    )


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
