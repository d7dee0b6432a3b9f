"""What a cell says once a spreadsheet's dress is off: blanks, formulas, decimal commas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# `str.strip` leaves control characters, blanks of no width, direction marks, a byte order mark.
_BLANK_RANGES = ((0, 0x20), (0x7F, 0xA0), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F))
BLANKS = "\u00ad\u1680\u3000\ufeff" + "".join(
    chr(code) for first, last in _BLANK_RANGES for code in range(first, last + 1)
)
FORMULA_TEXT = re.compile(r'="(.*)"')
"""How ids are kept from being taken for numbers: ``="0012"``."""
NUMBER = re.compile(r"'?(?P<number>[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)( ?(?P<percent>%))?", re.I)
"""With the apostrophe that spreadsheets put before a number which is to be a text."""
SMALL = ("<super>", "<sub>")
"""As Unicode says that a letter is a raised or lowered one: 3² is not 32."""
JOINT = re.compile(r"(?<=[^\W\d_])(?: ?[-_]+ ?(?=[^\W\d_])|[-_]+(?=\d))|(?<=\d)[-_]+(?=[^\W\d_])")
"""What joins two words, or a word and a number; no minus, no ``1-2``, no mark such as ``A-``."""
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?( ?%)?", re.IGNORECASE | re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
"""Also a number of a thousand and more."""


def plain(cell: str) -> str:
    """Return a cell without what surrounds its text: blanks, and a formula that only quotes it."""
    cell = cell.strip(BLANKS)
    quoted = FORMULA_TEXT.fullmatch(cell)
    return quoted[1].strip() if quoted else cell


def tidy(cell: str) -> str:
    """Return a cell with single blanks, in Unicode's form NFC."""
    return " ".join(unicodedata.normalize("NFC", cell).split())


def fold(cell: str) -> str:
    """Return what a cell has in common with other spellings: no case, no blanks, form NFKC."""
    return "".join(unicodedata.normalize("NFKC", cell).casefold().split())


def spelling(cell: str) -> str:
    """Return what spellings of one word share: as `fold`, and with no hyphens between words."""
    return fold(JOINT.sub(" ", cell))


def number(cell: str) -> float | None:
    """Return a cell's number, written with a point or none; None where it is no finite one.

    A percentage is its fraction of 1.
    """
    if any(unicodedata.decomposition(letter).startswith(SMALL) for letter in cell):
        return None
    text = unicodedata.normalize("NFKC", cell).replace("\N{MINUS SIGN}", "-").strip()
    match = NUMBER.fullmatch(text)
    if not match:
        return None
    value = float(match["number"]) / (100 if match["percent"] else 1)
    return value if abs(value) < float("inf") else None


def is_percentage(cell: str) -> bool:
    """Return whether a cell is a number with a percent sign."""
    return number(cell) is not None and "%" in unicodedata.normalize("NFKC", cell)


def dotted(cells: Sequence[str], certain: bool = False) -> list[str]:
    """Return a column with decimal points in place of decimal commas, where that is what they are.

    They are where every cell with a digit is a number, none has a point, and some comma can't
    separate thousands. Words (``NA``) don't matter.

    Parameters
    ----------
    cells : sequence of str
    certain : bool
        Whether commas are known to be no thousands: semicolons separate cells where commas don't.
    """
    counts = [cell for cell in cells if re.search(r"\d", cell)]
    with_comma = [cell for cell in counts if "," in cell]
    numbers = all(
        DECIMAL_COMMA.fullmatch(cell)
        if "," in cell
        else "." not in cell and number(cell) is not None
        for cell in counts
    )
    thousands = not certain and all(THOUSANDS.fullmatch(cell) for cell in with_comma)
    if not with_comma or not numbers or thousands:
        return list(cells)
    return [cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]
