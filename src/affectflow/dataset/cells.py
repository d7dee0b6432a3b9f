"""What a cell says once a spreadsheet's dress is off: blanks, formulas, decimal commas."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Blanks that `str.strip` leaves: of no width, direction marks, a byte order mark within the text.
INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
FORMULA_TEXT = re.compile(r'="(.*)"')
"""How ids are kept from being taken for numbers: ``="0012"``."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
"""Also a number of a thousand and more."""


def plain(cell: str) -> str:
    """Return a cell without what surrounds its text: blanks, and a formula that only quotes it."""
    cell = cell.strip().strip(INVISIBLE).strip()
    quoted = FORMULA_TEXT.fullmatch(cell)
    return quoted[1].strip() if quoted else cell


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, written with a point or none."""
    return bool(NUMBER.fullmatch(cell))


def dotted(cells: Sequence[str], certain: bool = False) -> list[str]:
    """Return a column with decimal points in place of decimal commas, where that is what they are.

    They are where every cell of the column is a number, none has a point, and some comma can't
    separate thousands.

    Parameters
    ----------
    cells : sequence of str
    certain : bool
        Whether commas are known to be no thousands: semicolons separate cells where commas don't.
    """
    with_comma = [cell for cell in cells if "," in cell]
    numbers = all(DECIMAL_COMMA.fullmatch(cell) for cell in with_comma) and all(
        "." not in cell and is_number(cell) for cell in cells if cell and "," not in cell
    )
    if not with_comma or not numbers:
        return list(cells)
    if not certain and all(THOUSANDS.fullmatch(cell) for cell in with_comma):
        return list(cells)
    return [cell.replace(",", ".") for cell in cells]
