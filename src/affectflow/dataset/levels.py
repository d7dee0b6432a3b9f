"""Levels as tables write them: whole numbers, fractions, words in several spellings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from affectflow.dataset.cells import number, spelling, tidy

MOST_LEVELS = 50
NO_LEVEL = -1
"""A number that is none of a task's levels: the index audits and drops it."""
CODES = frozenset(
    {8, 9, 66, 77, 88, 96, 97, 98, 99} | {int(digit * n) for digit in "6789" for n in (3, 4, 5)}
)
"""What surveys write for "no answer", "not applicable" and the like."""
GAP = 3
"""So many levels that no clip has, above two that some have, and what follows may be no level."""
MOST_CODES = 3
SCALE = (
    ("very low",),
    ("low",),
    ("medium", "moderate", "middle", "mid"),
    ("high",),
    ("very high",),
)
"""Words of one order, whoever writes them."""
FEW = 10
FRACTION = 0.011
"""How far 0.33 or 0.66 may be from a third."""
NEAR = 0.05
"""How far, in the smallest step between levels, a number may be from the level it stands for."""


def named(item: object) -> str:
    """Return a level's name as the config gives it: 0.33 for ``.33``, 1 for ``1.0``."""
    return f"{item:g}" if isinstance(item, float) else tidy(str(item))


def in_order(names: Sequence[str]) -> list[str] | None:
    """Return levels, lowest first, if all are of `SCALE` and no two say the same; else None."""
    rank = {spelling(word): place for place, words in enumerate(SCALE) for word in words}
    places = {rank.get(spelling(name)): name for name in names}
    if len(names) < 2 or None in places or len(places) < len(names):
        return None
    return [places[place] for place in range(len(SCALE)) if place in places]


def stray(whole: Sequence[int]) -> list[int]:
    """Return which of some whole numbers may be codes for "none" rather than levels.

    Negative ones; and, if they are few, `CODES` above a gap, or what stands `GAP` empty levels
    above at least two levels.

    Parameters
    ----------
    whole : sequence of int
        Ascending, different.
    """
    apart = [code for code in whole if code < 0]
    levels = [code for code in whole if code >= 0]
    for place in range(1, len(levels)):
        empty = levels[place] - levels[place - 1] - 1
        code = (levels[place] in CODES and empty > 1) or (place >= 2 and empty >= GAP)
        if code:
            return apart + (levels[place:] if len(levels) - place <= MOST_CODES else [])
    return apart


def too_empty(whole: Sequence[int]) -> bool:
    """Return whether no clip has most levels from 0 to the largest, or `FEW` and more at first."""
    return whole[-1] > FEW and (2 * len(whole) < whole[-1] + 1 or whole[0] >= FEW)


def fractions_of_one(values: Sequence[float]) -> tuple[tuple[str, ...], list[int]] | None:
    """Return levels that are written as even fractions of 1, such as 0, .33, .66, 1.

    Every one of them must occur; a mean of several raters' levels seldom is like that.

    Returns
    -------
    names : tuple of str
        Of the levels, as they are written most often, ascending.
    codes : list of int
        Of each value. None in place of both where the values are no such levels.
    """
    if min(values) != 0 or max(values) != 1:
        return None
    for levels in range(3, FEW + 2):
        codes = [round(value * (levels - 1)) for value in values]
        far = max(abs(v - c / (levels - 1)) for v, c in zip(values, codes, strict=True))
        if far <= FRACTION and len(set(codes)) == levels:
            common = Counter(zip(codes, values, strict=True)).most_common()
            first: dict[int, str] = {}
            for (code, value), _ in common:
                first.setdefault(code, f"{value:g}")
            return tuple(first[code] for code in range(levels)), codes
    return None


def spellings(cells: Sequence[str]) -> dict[str, str]:
    """Return for each different cell its level's name: the spelling that occurs most often."""
    count = Counter(cells)
    best: dict[str, str] = {}
    for cell in sorted(count, key=lambda cell: (-count[cell], cell)):
        best.setdefault(spelling(cell), cell)
    return {cell: best[spelling(cell)] for cell in count}


def place_of(cell: str, names: Sequence[str]) -> int | None:
    """Return which of some levels a cell is: by name, by number, by another spelling; or None."""
    if cell in names:
        return names.index(cell)
    value = number(cell)
    numbers = [number(name) for name in names]
    known = [own for own in numbers if own is not None]
    if value is not None and len(known) == len(names):
        near = min(range(len(names)), key=lambda place: abs(known[place] - value))
        ordered = sorted(known)
        step = min((b - a for a, b in pairwise(ordered)), default=1.0)
        exact = all(own.is_integer() for own in known)
        within = 0.0 if exact else NEAR * step
        return near if abs(known[near] - value) <= within else None
    alike = [place for place, name in enumerate(names) if spelling(name) == spelling(cell)]
    return alike[0] if len(alike) == 1 else None
