"""Cells that hold no label: what people and their programs write where there is none."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from affectflow.dataset.cells import is_percentage, number, spelling

# As `spelling` leaves them. R, pandas, NumPy, SQL, SPSS, Java and JSON; a spreadsheet's errors in
# several languages; EngageNet's code.
WORDS = frozenset(
    map(
        spelling,
        """
        na n/a n.a. n.a na/na <na> #na nan -nan nat 1.#ind -1.#ind 1.#qnan -1.#qnan
        null (null) <null> undefined sysmis
        #n/a #n/an/a #n/d #nv #null! #value! #wert! #valeur! #valor! #¡valor! #ref! #bezug! #¡ref!
        #div/0! #name? #nom? #nombre? #num! #zahl! #calc! #spill!
        missing <missing> no_data n.d. k.a. not_available not_applicable not_labelled not_labeled
        unlabelled unlabeled no_label not_rated unrated not_annotated unannotated
        snp snp(subject_not_present) subject_not_present no_subject no_face
        """.split(),  # noqa: SIM905
    )
)
EITHER = frozenset(
    map(spelling, ("none", "nil", "unknown", "no person", "face not visible", "no face detected"))
)
"""Among numbers these say that there is no level; among words they may be one of the levels."""


class NoLabel:
    """Whether a cell says that there is no label.

    An empty cell does, one without a letter, a digit or a picture (``-``, ``?``, ``...``), and
    `WORDS`, whatever their case, blanks, hyphens and underscores.

    Parameters
    ----------
    more : iterable of str or number
        What else does: a number stands for every way of writing it.
    """

    def __init__(self, more: Iterable[object] = ()) -> None:
        given = ["" if item is None else str(item) for item in more]
        self.more = {_what(item) for item in given}

    def __call__(self, cell: str) -> bool:
        """Return whether the cell has no label, whatever else stands in its column."""
        word = spelling(cell)
        return (
            word in WORDS
            or self.named(cell)
            or all(unicodedata.category(letter)[0] in "PZC" for letter in word)
        )

    def named(self, cell: str) -> bool:
        """Return whether the config says that the cell has no label."""
        return _what(cell) in self.more

    def either(self, cell: str) -> bool:
        """Return whether the cell has no label if it stands among numbers."""
        return spelling(cell) in EITHER


def _what(cell: str) -> str | tuple[float, bool]:
    """Return a number whatever its writing, and whether as a percentage; a word's `spelling`."""
    value = number(cell)
    return spelling(cell) if value is None else (value, is_percentage(cell))
