"""Triplets of faces whose odd one out is known, and what annotators say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectflow.demo.portrayals import Portrayal, settings
from affectflow.errors import UserError
from affectflow.teacher.classes import EXPRESSIONS

KINDS = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")
_SHARES = (0.2, 0.4, 0.4)
# the odd one is at least so many times as far from either as these are from each other
GAP = {"ONE_CLASS_TRIPLET": 3.5, "TWO_CLASS_TRIPLET": 1.5, "THREE_CLASS_TRIPLET": 1.5}
# and so far in `settings`, so that it can be seen
NEAREST_ODD = {"ONE_CLASS_TRIPLET": 0.7, "TWO_CLASS_TRIPLET": 0.6, "THREE_CLASS_TRIPLET": 0.6}
ANNOTATORS = 12
VOTES, MANY_VOTES = 6, 8
TIED, DISSENTING, OFTEN_VOTED = 0.04, 0.2, 0.02  # shares of triplets, at least one of each
_ATTEMPTS = 20_000


@dataclass(frozen=True)
class Triplet:
    """Three images of three identities, one of them the most different.

    Attributes
    ----------
    images : tuple of three Portrayal
    kind : str
        One of `KINDS`.
    odd : int
        1, 2 or 3: the image farthest from the other two in `settings`.
    votes : tuple of (int, int)
        Annotator and the image that they chose, 1, 2 or 3. No majority where annotators tie.
    """

    images: tuple[Portrayal, Portrayal, Portrayal]
    kind: str
    odd: int
    votes: tuple[tuple[int, int], ...]


def compare(
    images: Sequence[Portrayal], number: int, rng: np.random.Generator, groups: int = 1
) -> tuple[Triplet, ...]:
    """Draw so many triplets from `images`, and their votes.

    Parameters
    ----------
    images : sequence of Portrayal
    number : int
    rng : numpy.random.Generator
    groups : int
        Of identities: images are compared within a group alone, and each gets as many triplets.

    Raises
    ------
    UserError
        If there are too few images for one that is clear.
    """
    kinds = rng.permutation(np.repeat(KINDS, _deal(number)))
    ballots = _ballots(number, rng)
    identities = np.array_split(sorted({image.identity for image in images}), groups)
    by_class = [
        [
            [i for i in images if i.identity in among and i.expression == c]
            for c in range(len(EXPRESSIONS))
        ]
        for among in identities
    ]
    return tuple(
        _draw_triplet(str(kind), by_class[place * groups // number], ballot, rng)
        for place, (kind, ballot) in enumerate(zip(kinds, ballots, strict=True))
    )


def _deal(number: int) -> NDArray[np.int64]:
    ends = np.round(np.cumsum(_SHARES) * number).astype(int)
    return np.diff(ends, prepend=0)


def _ballots(number: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """How the annotators of each triplet vote: ``tied``, ``dissent``, ``many`` or ``agreed``."""
    counts = [max(1, round(share * number)) for share in (TIED, DISSENTING, OFTEN_VOTED)]
    names = ["tied", "dissent", "many", "agreed"]
    return rng.permutation(np.repeat(names, [*counts, number - sum(counts)]))


def _draw_triplet(
    kind: str, by_class: list[list[Portrayal]], ballot: str, rng: np.random.Generator
) -> Triplet:
    classes_of = {KINDS[0]: (0, 0, 0), KINDS[1]: (0, 0, 1), KINDS[2]: (0, 1, 2)}[kind]
    present = [members for members in by_class if members]
    for _ in range(_ATTEMPTS if len(present) == len(by_class) else 0):
        order = rng.permutation(len(present))
        drawn = [present[order[c]][rng.integers(len(present[order[c]]))] for c in classes_of]
        if len({image.identity for image in drawn}) == 3 and _is_clear(kind, drawn):
            places = rng.permutation(3)
            odd = int(np.flatnonzero(places == 2)[0]) + 1
            a, b, c = (drawn[place] for place in places)
            return Triplet((a, b, c), kind, odd, _vote(ballot, odd, rng))
    raise UserError(
        f"No clear {kind} among {sum(map(len, by_class))} images.",
        "Ask for more identities, or for more images of each.",
    )


def _is_clear(kind: str, drawn: Sequence[Portrayal]) -> bool:
    """Whether the third of `drawn` is the odd one by far."""
    a, b, c = (settings(image.face) for image in drawn)
    pair, *odd = (float(np.linalg.norm(gap)) for gap in (a - b, a - c, b - c))
    return min(odd) >= max(NEAREST_ODD[kind], GAP[kind] * pair)


def _vote(ballot: str, odd: int, rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    others = [image for image in (1, 2, 3) if image != odd]
    wrong = int(rng.choice(others))
    votes = [odd] * (MANY_VOTES if ballot == "many" else VOTES)
    if ballot == "tied":
        votes[: VOTES // 2] = [wrong] * (VOTES // 2)
    if ballot == "dissent":
        votes[0] = wrong
    annotators = rng.choice(ANNOTATORS, len(votes), replace=False).tolist()
    return tuple(zip(annotators, rng.permutation(votes).tolist(), strict=True))
