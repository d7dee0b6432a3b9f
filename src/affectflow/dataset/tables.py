"""CSV in and out, with errors that name the file, row and column."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectflow.dataset.cells import dotted, number, plain, tidy
from affectflow.dataset.records import SPLITS, VIDEO_SUFFIXES
from affectflow.dataset.text import read_text
from affectflow.errors import UserError, did_you_mean
from affectflow.provenance.atomic import write_text

log = logging.getLogger(__name__)

SEPARATORS = ",;\t|"
SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?[,;]*\s*\n', re.IGNORECASE)
"""What Excel writes, and takes, as a first line that says how cells are separated."""
WRAPPED = re.compile(r"'.*'|\u2018.*\u2019|\u201c.*\u201d|\u201e.*[\u201c\u201d]|`.*`", re.DOTALL)
"""Quotes around a cell that are none to CSV."""
COMMENT = "#"
TEXTS = ("clipid", "subject", "split", "path")
"""Columns that hold no numbers, whatever they look like."""
HEADER_WITHIN = 20
"""Lines among which the header is looked for: titles and comments may stand above it."""
Line = tuple[int, list[str]]


@dataclass(frozen=True)
class _Lines:
    """A table's lines that aren't blank, with their numbers; the first one is the header."""

    names: list[str]
    body: list[Line]
    separator: str


def read_table(path: Path, required: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Read a CSV with a header, as people and their programs save it.

    Cells may be separated by commas, semicolons, tabs or bars, whichever makes the header name
    the required columns. These are found whatever their case, blanks and underscores, and are
    named as in `required`. What stands in front of the header, comments, and columns without a
    name are passed over. Names and cells lose surrounding blanks (DAiSEE's last column is
    ``Frustration`` and a blank). In a column of numbers, a decimal comma becomes a point.

    Returns
    -------
    columns : list of str
    rows : list of dict
        One per line after the header, and under ``""`` the line's number; blank lines are skipped.

    Raises
    ------
    UserError
        If the file is missing, has no row, is no text (`affectflow.dataset.text.read_text`), lacks
        a required column, names a column twice, or has a row of another length.
    """
    text, encoding = read_text(path)
    if encoding:
        log.warning("warning: %s: is not UTF-8; read as %s", path, encoding)
    lines = _with_header(path, text, required)
    names = lines.names
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise UserError(f"{path}: names column {', '.join(repeated)} twice", "Rename one.")
    body = [(i, row) for i, row in lines.body if len(row) > 1 or not row[0].startswith(COMMENT)]
    if not body:
        raise UserError(f"{path}: has a header but no row", "It needs a row per clip.")
    fitted = [_fitted(path, i, row, names, required) for i, row in body]
    columns = {
        name: [*cells] if same_name(name) in TEXTS else dotted(cells, lines.separator == ";")
        for name, cells in zip(names, zip(*fitted, strict=True), strict=True)
        if name
    }
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return list(columns), [row | {"": str(i)} for row, (i, _) in zip(rows, body, strict=True)]


def same_name(name: str) -> str:
    """Return what of a column's name counts when it is looked for: ``ClipID`` and ``clip_id``."""
    return re.sub(r"[\W_]+", "", name).lower()


def _with_header(path: Path, text: str, required: Sequence[str]) -> _Lines:
    declared = SEPARATOR_LINE.match(text)
    above = text.count("\n", 0, declared.end()) if declared else 0
    text = text[declared.end() :] if declared else text
    nearest: tuple[int, int, list[str]] | None = None
    fault: UserError | None = None
    # The line that declares one was there before somebody saved the table with another.
    for separator in dict.fromkeys((declared[1] if declared else "") + SEPARATORS):
        try:
            lines = _lines(path, text, separator, above)
        except UserError as error:
            fault = fault or error
            continue
        for at, (_, header) in enumerate(lines[:HEADER_WITHIN]):
            wrapped = all(map(WRAPPED.fullmatch, filter(None, header)))
            row = _unwrapped(header) if wrapped else header
            names = _named(row, required)
            known = sum(name in names for name in required)
            if known == len(required):
                # Tables that were put one below the other have a header each.
                body = [(i, cells) for i, cells in lines[at + 1 :] if cells != header]
                body = [(i, _unwrapped(cells)) for i, cells in body] if wrapped else body
                return _Lines(names, body, separator)
            if nearest is None or (known, known and len(row)) > nearest[:2]:
                nearest = known, known and len(row), names
    if nearest is None or (fault and not nearest[0]):
        raise fault or UserError(f"{path}: is empty", "It needs a header and a row per clip.")
    raise _no_header(path, nearest[2], required)


def _lines(path: Path, text: str, separator: str, above: int) -> list[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines: list[Line] = []
    number = above
    try:
        for number, row in enumerate(reader, start=above + 1):
            cells = [plain(cell) for cell in row]
            if any(cells):
                lines.append((number, cells))
    except csv.Error as error:
        raise UserError(
            f"{path}: is not a CSV table: row {number + 1}: {error}",
            "Mend its quotes, or save it again as CSV.",
        ) from error
    # Opened with another separator and saved, a whole line is one cell in quotes.
    whole = all(not any(row[1:]) and "\n" not in row[0] for _, row in lines)
    if lines and whole and separator in lines[0][1][0]:
        lines = [
            (i, [plain(cell) for cell in next(csv.reader([row[0]], delimiter=separator))])
            for i, row in lines
        ]
    return lines


def _unwrapped(row: list[str]) -> list[str]:
    """Return a line's cells without the quotes around them that CSV knows nothing of."""
    return [plain(cell[1:-1]) if WRAPPED.fullmatch(cell) else cell for cell in row]


def _named(row: list[str], required: Sequence[str]) -> list[str]:
    """Return a line's cells as columns' names, those required as they are asked for."""
    names = [tidy(cell) for cell in row]
    if names[0].startswith(COMMENT):
        names[0] = names[0].lstrip(f"{COMMENT} ")
    for name in required:
        places = [i for i, cell in enumerate(names) if same_name(cell) == same_name(name)]
        if name not in names and len(places) == 1:
            names[places[0]] = name
    return names


def _no_header(path: Path, names: list[str], required: Sequence[str]) -> UserError:
    missing = [name for name in required if name not in names]
    wanted = f"The header must name {', '.join(required)}."
    shown = ", ".join(names)
    shown = shown if len(shown) <= 200 else f"{shown[:200]} ..."
    if len(missing) == len(required):
        if any(_is_data(name) for name in names):
            return UserError(f"{path}: has no header; its first line is '{shown}'", wanted)
        if len(names) == 1 and {*map(same_name, required)} <= {*map(same_name, shown.split())}:
            return UserError(f"{path}: blanks separate its cells", "Save it as CSV, with commas.")
    like = did_you_mean(missing[0], names)
    close = f"{like} " if like.startswith("Did") else ""
    return UserError(
        f"{path}: has no column {', '.join(missing)} (it has {shown})", f"{close}{wanted}"
    )


def _is_data(cell: str) -> bool:
    return (
        number(cell) is not None
        or cell.lower() in SPLITS
        or Path(cell.replace("\\", "/")).suffix.lower() in VIDEO_SUFFIXES
    )


def _fitted(
    path: Path, number: int, row: list[str], names: list[str], required: Sequence[str]
) -> list[str]:
    """Return a row with a cell for each column, where what is missing or too much is empty."""
    width = len(names)
    while row and len(row) > width and not row[-1]:
        row = row[:-1]
    named = max(i for i, name in enumerate(names) if name) + 1
    if len(row) < width:
        # Spreadsheets leave out empty cells at a row's end: no cell has moved where none is
        # missing, or where no cell that may be empty has anything in it.
        given = [name for name, cell in zip(names, row, strict=False) if cell]
        if len(row) >= named or (len(row) >= len(required) and {*given} == {*required}):
            return row + [""] * (width - len(row))
    if len(row) != width:
        raise UserError(
            f"{path}: row {number} has {len(row)} cells, the header {width}",
            "Mend the row: an empty cell needs its separator, and a cell with a separator in it "
            "needs quotes.",
        )
    return row


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV atomically; None becomes an empty cell."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, out.getvalue())
