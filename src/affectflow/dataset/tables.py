"""CSV in and out, with errors that name the file, row and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectflow.errors import UserError
from affectflow.provenance.atomic import write_text


def read_table(path: Path, required: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Read a CSV with a header.

    Names and cells lose surrounding blanks (DAiSEE's last column is ``Frustration`` and a blank).

    Returns
    -------
    columns : list of str
    rows : list of dict
        One per line after the header; blank lines are skipped.

    Raises
    ------
    UserError
        If the file is missing, has no row, is not UTF-8, lacks a required column, names a column
        twice, or has a row of another length.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Check dataset in the config.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text ({error})", "Save it as UTF-8 CSV.") from error
    lines = [(i, row) for i, row in _rows(path, text) if any(cell.strip() for cell in row)]
    if not lines:
        raise UserError(f"{path}: is empty", "It needs a header and a row per clip.")
    columns = [cell.strip() for cell in lines[0][1]]
    missing = [name for name in required if name not in columns]
    if missing:
        raise UserError(
            f"{path}: has no column {', '.join(missing)} (it has {', '.join(columns)})",
            f"The header must name {', '.join(required)}.",
        )
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise UserError(f"{path}: names column {', '.join(repeated)} twice", "Rename one.")
    if len(lines) == 1:
        raise UserError(f"{path}: has a header but no row", "It needs a row per clip.")
    rows = []
    for i, row in lines[1:]:
        if len(row) != len(columns):
            raise UserError(
                f"{path}: row {i} has {len(row)} cells, the header {len(columns)}", "Mend the row."
            )
        rows.append({k: cell.strip() for k, cell in zip(columns, row, strict=True)} | {"": str(i)})
    return columns, rows


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    try:
        yield from enumerate(csv.reader(io.StringIO(text), strict=True), start=1)
    except csv.Error as error:
        raise UserError(f"{path}: is not a CSV table ({error})", "Save it as CSV.") from error


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV atomically; None becomes an empty cell."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, out.getvalue())


def level(path: Path, row: Mapping[str, str], column: str) -> int | None:
    """Return a cell's level code, or None where the cell is empty.

    Raises
    ------
    UserError
        If the cell is not a whole number.
    """
    cell = row[column]
    if not cell:
        return None
    try:
        number = float(cell)
    except ValueError:
        number = float("nan")
    if not number.is_integer():
        raise UserError(
            f"{path}: row {row['']}, column {column}: '{cell}' is not a level",
            "Levels are whole numbers: 0, 1, 2, 3.",
        )
    return int(number)
