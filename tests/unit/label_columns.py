"""Columns of a label table made of cells alone, for the tests of what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affectflow.dataset.columns import understand
from affectflow.dataset.understood import Column


def columns(
    settings: dict[str, Any] | None = None, subjects: Sequence[str] = (), **cells: Sequence[str]
) -> dict[str, Column]:
    rows = [
        dict(zip(cells, row, strict=True)) | {"subject": f"s{place}", "": str(place + 2)}
        for place, row in enumerate(zip(*cells.values(), strict=True))
    ]
    for row, subject in zip(rows, subjects, strict=False):
        row["subject"] = subject
    found = understand(Path("clips.csv"), list(cells), rows, settings or {})
    return {column.name: column for column in found}


def engagement(cells: Sequence[str], **settings: Any) -> Column:
    given = {"tasks": {"engagement": settings}} if settings else {}
    return columns(given, engagement=cells)["engagement"]
