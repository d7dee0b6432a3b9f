"""AffectNet's images and expressions, in both forms in which it is distributed.

- **A manifest**: ``training.csv`` and ``validation.csv`` beside a folder of images. Columns
  `COLUMNS`; the face's box is in pixels. ``validation.csv`` is distributed without its header
  line, and is read by the columns' order.
- **A folder** with ``images/ID.jpg`` and ``annotations/ID_exp.npy`` (also ``_val``, ``_aro``,
  ``_lnd``, which are not read here): one number per file, at times saved as text. Its images are
  cropped to the face already.

Expressions 0 to 7 are `EXPRESSIONS`; 8, 9 and 10 are `NO_EXPRESSIONS`, and are left out.
Mollahosseini, Hasani and Mahoor 2017, AffectNet, IEEE Transactions on Affective Computing 10(1).
"""

from __future__ import annotations

import csv
import io
import logging
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from affectflow.dataset.folders import entries
from affectflow.dataset.tables import SEPARATORS
from affectflow.dataset.text import encoding_of
from affectflow.errors import UserError
from affectflow.teacher.audit import AuditRow, counts_text, in_threads, require_folder
from affectflow.teacher.classes import EXPRESSIONS, NO_EXPRESSIONS
from affectflow.teacher.faces import SUFFIXES, Box, Face, Finding, examine, usable_box

log = logging.getLogger(__name__)

COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
IMAGES, ANNOTATIONS = "images", "annotations"
EXPRESSION_FILE = "_exp.npy"
# A number's file has some 130 bytes.
MOST_BYTES = 4096


@dataclass(frozen=True)
class Expressions:
    """Faces and what they show.

    Attributes
    ----------
    faces : list of Face
    expression : numpy.ndarray
        (n,) int64: places in `EXPRESSIONS`.
    """

    faces: list[Face]
    expression: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.faces)


class _Sample(NamedTuple):
    """A labelled image: how the audit names it, its file, expression, box (x, y, w, h) in px."""

    item: str
    path: Path
    expression: int
    pixels: Box | None


def read_affectnet(
    source: Path, images: Path | None = None, *, workers: int = 4, decode: bool = True
) -> tuple[Expressions, list[AuditRow]]:
    """Read AffectNet.

    Parameters
    ----------
    source : Path
        The manifest, or a folder with ``images/`` and ``annotations/``.
    images : Path, optional
        For a manifest: the folder that its paths start from. Not looked at for a folder.
    workers : int
        Threads that open files.
    decode : bool
        Whether to decode every image once, the only way to know a broken one; otherwise only its
        header is read.

    Returns
    -------
    expressions : Expressions
        In the manifest's order, or by id.
    audit : list of AuditRow
        ``missing_image``, ``broken_image``, ``bad_row``, ``bad_box``, ``bad_label``, ``no_label``
        (an image without one), ``duplicate_image`` (of an id that has another), ``no_expression``
        (none, uncertain, no face). All are left out.

    Raises
    ------
    UserError
        If `source` is neither, the manifest's columns differ, an expression is none of 0 to 10, a
        path leads out of the folder of images, or no image is found or can be used.
    """
    audit: list[AuditRow] = []
    if source.is_dir():
        samples = _folder(source, workers, audit)
        where = source / IMAGES
    else:
        if images is None:
            raise UserError(
                f"{source}: nobody said where its images are",
                "Set teacher.affectnet.images to the folder that its paths start from.",
            )
        require_folder(images, "AffectNet's images", "teacher.affectnet.images")
        samples = list(_manifest(source, images, audit))
        where = images
    faces, expression, found = _look(samples, workers, decode, audit)
    if samples and not found:
        raise UserError(
            f"{where}: has none of the {len(samples)} images of {source}",
            "Unpack AffectNet again, all parts of its archive."
            if source.is_dir()
            else "Set teacher.affectnet.images to the folder that the manifest's paths start from.",
        )
    if not faces:
        raise UserError(
            f"{source}: none of its images can be used ({counts_text(audit)})",
            "Unpack AffectNet again, all parts of its archive.",
        )
    log.info("%s: %d faces; left out: %s", source.name, len(faces), counts_text(audit))
    return Expressions(faces, np.array(expression, np.int64)), audit


def _look(
    samples: list[_Sample], workers: int, decode: bool, audit: list[AuditRow]
) -> tuple[list[Face], list[int], int]:
    """Return the faces that can be used, their expressions, and how many images were there."""
    faces: list[Face] = []
    expression: list[int] = []
    found = 0

    def finding(sample: _Sample) -> Finding:
        return examine(sample.path, decode)

    for sample, seen in zip(samples, in_threads(finding, samples, workers), strict=True):
        found += not seen.missing
        if seen.size is None:
            status = "missing_image" if seen.missing else "broken_image"
            audit.append(AuditRow(sample.item, status, seen.fault))
            continue
        box = _relative(sample.pixels, seen.size) if sample.pixels else None
        if sample.pixels and box is None:
            detail = f"box {sample.pixels} px, image {seen.size[0]} x {seen.size[1]}"
            audit.append(AuditRow(sample.item, "bad_box", detail))
            continue
        faces.append(Face(sample.path, box))
        expression.append(sample.expression)
    return faces, expression, found


def _relative(pixels: Box, size: tuple[int, int]) -> Box | None:
    x, y, width, height = pixels
    if not all(map(math.isfinite, pixels)) or width <= 0 or height <= 0:
        return None
    return usable_box((x / size[0], y / size[1], (x + width) / size[0], (y + height) / size[1]))


def _manifest(table: Path, images: Path, audit: list[AuditRow]) -> Iterator[_Sample]:
    places: list[int] | None = None
    width = seen = 0
    for number, row in _rows(table):
        if places is None:
            places, is_header = _places(table, row)
            width = len(row)
            if is_header:
                continue
        seen += 1
        if len(row) != width:
            detail = f"has {len(row)} cells, not {width}"
            audit.append(AuditRow(f"row {number}", "bad_row", detail))
            continue
        name, *box, label = (row[place].strip() for place in places)
        if not name or "�" in name or "\0" in name:
            audit.append(AuditRow(f"row {number}", "bad_row", "has no readable path"))
            continue
        code = _code(label, f"{table}: row {number}")
        name = _inside(table, number, name)
        if name == ".":
            audit.append(AuditRow(f"row {number}", "bad_row", "its path names no file"))
            continue
        if code in NO_EXPRESSIONS:
            audit.append(AuditRow(name, "no_expression", NO_EXPRESSIONS[code]))
            continue
        pixels = _pixels(box)
        if pixels is None:
            detail = f"box {', '.join(box)}: not four numbers"
            audit.append(AuditRow(name, "bad_box", detail))
            continue
        yield _Sample(name, images / name, code, pixels)
    if not seen:
        what = "is empty" if places is None else "has a header but no row"
        raise UserError(f"{table}: {what}", "Copy AffectNet's manifest again.")


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        encoding = encoding_of(table)
        with table.open(encoding=encoding, errors="replace", newline="") as file:
            separator = _separator(line for line in file if line.strip())
        # A byte that is no UTF-8 spoils its own row, not the table.
        with table.open(encoding=encoding, errors="replace", newline="") as file:
            for number, row in enumerate(csv.reader(file, delimiter=separator), start=1):
                if number == 1 and len(row) < 3 and row and row[0].lower().startswith("sep="):
                    continue
                row = row if separator == "," else _with_points(row)
                if any(cell.strip() for cell in row):
                    yield number, row
    except csv.Error as error:
        raise UserError(
            f"{table}: is not a CSV table ({error})", "Copy AffectNet's manifest again."
        ) from error
    except OSError as error:
        raise UserError(
            f"{table}: {error.strerror}", "Give AffectNet's CSV, or the folder of its images."
        ) from error


def _separator(lines: Iterator[str]) -> str:
    """Return what separates the cells of a table with these lines."""
    for line in islice(lines, 2):  # the first may be Excel's `sep=`
        for separator in SEPARATORS:
            row = [
                cell.strip("\ufeff\r\n ") for cell in next(csv.reader([line], delimiter=separator))
            ]
            with suppress(UserError):
                _places(Path(), row if separator == "," else _with_points(row))
                return separator
    return ","


def _with_points(row: list[str]) -> list[str]:
    return [cell.replace(",", ".") if _number(cell.replace(",", ".")) else cell for cell in row]


def _places(table: Path, row: list[str]) -> tuple[list[int], bool]:
    """Return where the path, the box and the expression stand, and whether a row is a header."""
    wanted = [*COLUMNS[:5], COLUMNS[6]]
    cells = [cell.strip() for cell in row]
    if COLUMNS[0] in cells:
        missing = [name for name in wanted if name not in cells]
        if missing:
            raise UserError(
                f"{table}: has no column {', '.join(missing)}",
                f"AffectNet's manifest has {', '.join(COLUMNS)}.",
            )
        return [cells.index(name) for name in wanted], True
    places = [COLUMNS.index(name) for name in wanted]
    if len(cells) == len(COLUMNS) and all(_number(cells[place]) for place in places[1:]):
        return places, False
    raise UserError(
        f"{table}: is no manifest of AffectNet; it begins with {', '.join(cells)[:80]!r}",
        f"Its columns are {', '.join(COLUMNS)}.",
    )


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell in ("NULL", "")
    return True


def _pixels(box: list[str]) -> Box | None:
    try:
        x, y, width, height = map(float, box)
    except ValueError:
        return None
    return x, y, width, height


def _inside(table: Path, number: int, name: str) -> str:
    """Return a path with forward slashes; raise UserError if it leads out of its folder."""
    # By name alone: links within the folder may lead anywhere, they are its owner's.
    steps = PurePosixPath(os.path.normpath(name.replace("\\", "/")))
    if steps.is_absolute() or ".." in steps.parts or ":" in str(steps).split("/")[0]:
        raise UserError(
            f"{table}: row {number}: path {name!r} leads out of the folder of images",
            "AffectNet's paths are such as 689/737db2483489148d783ef278f43f4.jpg; mend the row.",
        )
    return str(steps)


def _code(cell: str, where: str) -> int:
    """Return an expression's id.

    Raises
    ------
    UserError
        If it is none of 0 to 10.
    """
    try:
        code = float(cell)
    except ValueError:
        code = math.nan
    if not (code.is_integer() and 0 <= code < len(EXPRESSIONS) + len(NO_EXPRESSIONS)):
        raise UserError(
            f"{where}: expression '{cell[:40]}' is none of AffectNet's",
            f"They are 0 to 7 ({', '.join(EXPRESSIONS)}), and 8 to 10 for none of these.",
        )
    return int(code)


def _folder(source: Path, workers: int, audit: list[AuditRow]) -> list[_Sample]:
    for name in (IMAGES, ANNOTATIONS):
        if not (source / name).is_dir():
            parts = [p.name for p in sorted(source.iterdir()) if (p / ANNOTATIONS).is_dir()]
            hint = f"Name one of its parts: {', '.join(parts)}." if parts else ""
            raise UserError(
                f"{source}: has no folder {name}",
                hint or f"AffectNet's folder has {IMAGES}/ and {ANNOTATIONS}/.",
            )
    files: dict[str, Path] = {}
    for path in (Path(entry.path) for entry in entries(source / IMAGES)):
        if path.suffix.lower() in SUFFIXES and files.setdefault(path.stem, path) != path:
            detail = f"{files[path.stem].name} has the same id, and is used"
            audit.append(AuditRow(path.name, "duplicate_image", detail))
    names = (entry.name for entry in entries(source / ANNOTATIONS))
    ids = [name.removesuffix(EXPRESSION_FILE) for name in names if name.endswith(EXPRESSION_FILE)]
    ids.sort(key=lambda name: (len(name), name))
    if not ids:
        raise UserError(
            f"{source / ANNOTATIONS}: has no file ID{EXPRESSION_FILE}",
            "Unpack AffectNet's annotations there.",
        )
    labelled = set(ids)
    audit += [
        AuditRow(path.name, "no_label", f"no {name}{EXPRESSION_FILE}")
        for name, path in files.items()
        if name not in labelled
    ]
    samples = []
    labels = [source / ANNOTATIONS / f"{name}{EXPRESSION_FILE}" for name in ids]
    for name, path, label in zip(ids, labels, in_threads(_label, labels, workers), strict=True):
        if label is None:
            audit.append(AuditRow(path.name, "bad_label", "does not hold one number"))
            continue
        code = _code(label, str(path))
        if code in NO_EXPRESSIONS:
            audit.append(AuditRow(name, "no_expression", NO_EXPRESSIONS[code]))
            continue
        file = files.get(name, source / IMAGES / f"{name}.jpg")
        samples.append(_Sample(file.name, file, code, None))
    return samples


def _label(path: Path) -> str | None:
    """Return what an annotation's file holds, as text; None if that is not one number or word."""
    # NumPy fails on broken files in every way: BadZipFile, TokenError, MemoryError, ...
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES)
        value = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(value, np.ndarray) or value.size != 1:
            return None
        item = value.reshape(-1)[0].item()
    except Exception:
        return None
    return item.decode("ascii", "replace") if isinstance(item, bytes) else str(item)
