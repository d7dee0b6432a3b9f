"""The faces that the teacher is trained on, looked at once: two tables, and what is not used."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic
from affectflow.provenance.content import sha256
from affectflow.teacher.affectnet import Expressions, read_affectnet
from affectflow.teacher.audit import AuditRow, counts_text, in_threads, write_audit
from affectflow.teacher.faces import Face
from affectflow.teacher.fec import Triplets, read_fec
from affectflow.teacher.holdout import hold_out
from affectflow.teacher.training import TeacherData

log = logging.getLogger(__name__)

TRIPLETS, EXPRESSIONS, AUDIT = "triplets.csv", "expressions.csv", "audit.csv"
BOX = ("x0", "y0", "x1", "y1")
CONTENT_DIGITS = 16
SOURCES = {
    ("fec", "train"): "train",
    ("fec", "test"): "test",
    ("affectnet", "train"): "train",
    ("affectnet", "validation"): "test",
}
"""A key of the config -> the split it becomes. What judges the epochs is held out of ``train``."""


def write_index(teacher: Mapping[str, Any], folder: Path, workers: int = 4) -> None:
    """Read both data sets, open every image once, and write what is there.

    ``triplets.csv`` has ``split, kind, odd`` and, for each of three faces, ``path_1, content_1,
    x0_1 ...``; ``expressions.csv`` has ``split, expression, path, content, x0, y0, x1, y1``.
    ``split`` is ``train``, ``validation`` (`affectflow.teacher.holdout`) or ``test``.
    ``content`` is the beginning of the file's SHA-256. Boxes are parts of the image's size, empty
    for a whole image. ``audit.csv``: ``item, status, detail``.

    Parameters
    ----------
    teacher : mapping
        ``teacher`` of the config: ``fec`` and ``affectnet``.
    folder : Path
        Where the three files are written.
    workers : int
        Threads that open images.

    Raises
    ------
    UserError
        If a table is not named, can't be read, or nothing of it is left.
    """
    audit: list[AuditRow] = []
    triplets, expressions = [], []
    for (data, key), split in SOURCES.items():
        given = teacher.get(data, {})
        if not given.get(key):
            raise UserError(
                f"teacher.{data}.{key}: is not set",
                "The teacher is trained on FEC and AffectNet at once; docs/teacher.md tells where "
                "they come from.",
            )
        source = Path(given[key]).expanduser()
        images = Path(given["images"]).expanduser() if given.get("images") else None
        if data == "fec":
            if images is None:
                raise UserError(
                    "teacher.fec.images: is not set", "Name the folder of FEC's photos."
                )
            others = [Path(given[k]).expanduser() for k in ("train", "test") if given.get(k)]
            found, rows = read_fec(
                source,
                images,
                others=others,
                agreement=float(given.get("agreement", 0.0)),
                workers=workers,
            )
            triplets.append(_triplet_table(found, split, workers))
        else:
            shown, rows = read_affectnet(source, images, workers=workers)
            expressions.append(_expression_table(shown, split, workers))
        log.info("%s: not used: %s", source, counts_text(rows))
        audit += rows
    *tables, lost = hold_out(pandas.concat(triplets), pandas.concat(expressions))
    log.info("held out of the training tables: %d rows more are not used", len(lost))
    _write(tables[0], folder / TRIPLETS)
    _write(tables[1], folder / EXPRESSIONS)
    write_audit(folder / AUDIT, audit + lost)


def read_index(folder: Path) -> TeacherData:
    """Read what `write_index` wrote.

    Raises
    ------
    UserError
        If a file is missing.
    """
    tables = {}
    for name in (TRIPLETS, EXPRESSIONS):
        tables[name] = _read(folder / name, na_values=dict.fromkeys(BOX, ""))
    parts: dict[str, Any] = {}
    for split in ("train", "validation", "test"):
        parts[f"{split}_triplets"] = _triplets(_of(tables[TRIPLETS], split))
        parts[f"{split}_expressions"] = _expressions(_of(tables[EXPRESSIONS], split))
    return TeacherData(**parts)


def index_digest(folder: Path) -> str:
    """Return a SHA-256 of what is trained on: contents and labels, not where the files lie.

    Raises
    ------
    UserError
        If a file is missing.
    """
    found = hashlib.sha256()
    for name in (TRIPLETS, EXPRESSIONS):
        table = _read(folder / name, dtype=str)
        table = table[[name for name in table.columns if not str(name).startswith("path")]]
        found.update(table.to_csv(index=False, lineterminator="\n").encode())
    return found.hexdigest()


def _triplet_table(found: Triplets, split: str, workers: int) -> pandas.DataFrame:
    table = pandas.DataFrame({"split": split, "kind": found.kind, "odd": found.odd})
    faces = _face_table(found.faces, workers)
    for place in range(3):
        own = faces.iloc[found.index[:, place]].reset_index(drop=True)
        table = table.join(own.add_suffix(f"_{place + 1}"))
    return table


def _expression_table(found: Expressions, split: str, workers: int) -> pandas.DataFrame:
    table = pandas.DataFrame({"split": split, "expression": found.expression})
    return table.join(_face_table(found.faces, workers))


def _face_table(faces: list[Face], workers: int) -> pandas.DataFrame:
    paths = [str(Path(face.path).absolute()) for face in faces]
    once = list(dict.fromkeys(paths))
    contents = dict(zip(once, in_threads(sha256, once, workers), strict=True))
    boxes = [face.box or [np.nan] * 4 for face in faces]
    boxes_table = pandas.DataFrame(np.reshape(boxes, (-1, 4)), columns=list(BOX), dtype=float)
    content = [contents[path][:CONTENT_DIGITS] for path in paths]
    return boxes_table.assign(path=paths, content=content)[["path", "content", *BOX]]


def _read(path: Path, **options: Any) -> pandas.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Run snakemake index_teacher.")
    return pandas.read_csv(path, keep_default_na=False, **options)


def _write(table: pandas.DataFrame, path: Path) -> None:
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def _of(table: pandas.DataFrame, split: str) -> pandas.DataFrame:
    return table[table["split"] == split]


def _triplets(table: pandas.DataFrame) -> Triplets:
    columns = ["path", *BOX]
    stacked = [
        table[[f"{name}_{place}" for name in columns]].set_axis(columns, axis=1)
        for place in (1, 2, 3)
    ]
    every = pandas.concat(stacked, ignore_index=True)
    group = every.groupby(columns, sort=False, dropna=False).ngroup().to_numpy(np.int64)
    faces = _faces(every.iloc[np.unique(group, return_index=True)[1]])
    kind = table["kind"].to_numpy(str)
    index = np.ascontiguousarray(group.reshape(3, -1).T, np.int64)
    return Triplets(faces, index, table["odd"].to_numpy(np.int64, copy=True), kind)


def _expressions(table: pandas.DataFrame) -> Expressions:
    return Expressions(_faces(table), table["expression"].to_numpy(np.int64, copy=True))


def _faces(table: pandas.DataFrame) -> list[Face]:
    boxes = table[list(BOX)].to_numpy(float)
    whole = np.isnan(boxes).any(axis=1)
    return [
        Face(Path(path), None if no_box else (box[0], box[1], box[2], box[3]))
        for path, box, no_box in zip(table["path"], boxes.tolist(), whole, strict=True)
    ]
