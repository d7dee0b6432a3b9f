"""Cells that hold no label: what people and their programs write where there is none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)

# As `fold` leaves them. R, pandas, NumPy, Excel, SQL, SPSS, Java and JSON; EngageNet's code.
WORDS = frozenset(
    """
    na n/a n.a. n.a na/na <na> #na #n/a #n/an/a #null! #value! #ref! #div/0! #name? #num!
    nan -nan 1.#ind -1.#ind 1.#qnan -1.#qnan nat null (null) <null> undefined sysmis
    missing <missing> notavailable notapplicable notlabelled notlabeled unlabelled unlabeled
    nolabel nodata snp snp(subjectnotpresent) subjectnotpresent nosubject noface
    """.split()  # noqa: SIM905
)
EITHER = frozenset({"none", "nil", "unknown"})
"""Among numbers these say that there is no level; among words they may be one of the levels."""


def tidy(cell: str) -> str:
    """Return a cell with single blanks, in Unicode's form NFC."""
    return " ".join(unicodedata.normalize("NFC", cell).split())


def fold(cell: str) -> str:
    """Return what a cell has in common with other spellings: no case, no blanks, form NFKC."""
    return "".join(unicodedata.normalize("NFKC", cell).casefold().split())


def number(cell: str) -> float | None:
    """Return a cell's number, written with a point or none; None where it is no finite one."""
    text = unicodedata.normalize("NFKC", cell).replace("\N{MINUS SIGN}", "-").strip()
    if not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if abs(value) < float("inf") else None


class NoLabel:
    """Whether a cell says that there is no label.

    An empty cell does, one without a letter, a digit or a picture (``-``, ``?``, ``...``), and
    `WORDS`, whatever their case and blanks.

    Parameters
    ----------
    more : iterable of str or number
        What else does: a number stands for every way of writing it.
    """

    def __init__(self, more: Iterable[object] = ()) -> None:
        given = ["" if item is None else str(item) for item in more]
        self.words = {fold(item) for item in given}
        self.numbers = {value for value in map(number, given) if value is not None}

    def __call__(self, cell: str) -> bool:
        """Return whether the cell has no label, whatever else stands in its column."""
        folded = fold(cell)
        return (
            folded in WORDS
            or self.named(cell)
            or all(unicodedata.category(letter)[0] in "PZC" for letter in folded)
        )

    def named(self, cell: str) -> bool:
        """Return whether the config says that the cell has no label."""
        return fold(cell) in self.words or number(cell) in self.numbers

    def either(self, cell: str) -> bool:
        """Return whether the cell has no label if it stands among numbers."""
        return fold(cell) in EITHER
