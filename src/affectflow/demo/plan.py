"""Who is in the demo corpus, with which levels, and what is wrong with which clip."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from affectflow.demo.performance import Levels


class Quirk(Enum):
    """What is wrong with a clip."""

    NONE = "nothing"
    LEAVES = "nobody is there for a third of the clip"
    HIDES = "a book hides the face for a third of the clip"
    CUT = "the file ends early: an AVI gives its first frames, an MP4 nothing"
    EMPTY = "the file has no bytes"
    NO_LABEL = "a video without a row in its split's file"
    NO_VIDEO = "a row without a video"
    NOT_IN_ALL = "in its split's file and not in AllLabels"


@dataclass(frozen=True)
class Clip:
    """One clip of the corpus.

    Attributes
    ----------
    split : str
        ``Train``, ``Validation`` or ``Test``.
    subject : str
        Six digits, the first of the clip's name.
    name : str
        File name with its extension, which is the id in the label files.
    levels : Levels
        What the subject acts, and the label if there is one.
    quirk : Quirk
        What is wrong with the clip.
    """

    split: str
    subject: str
    name: str
    levels: Levels
    quirk: Quirk

    @property
    def stem(self) -> str:
        """The clip's number, without its extension."""
        return self.name.partition(".")[0]

    @property
    def folder(self) -> str:
        """The clip's folder below ``DataSet``."""
        return f"{self.split}/{self.subject}/{self.stem}"


@dataclass(frozen=True)
class _Split:
    name: str
    first_subject: int
    subjects: int
    clips: int  # of each subject
    quirks: dict[tuple[int, int], Quirk]  # by subject and clip; clips beyond `clips` are extra


SPLITS = (
    _Split("Train", 910001, 13, 4, {
        (0, 1): Quirk.LEAVES,
        (2, 4): Quirk.NO_LABEL,
        (4, 4): Quirk.NO_VIDEO,
        (7, 4): Quirk.EMPTY,
    }),
    _Split("Validation", 920001, 4, 3, {(2, 3): Quirk.CUT, (1, 0): Quirk.NOT_IN_ALL}),
    _Split("Test", 930001, 6, 5, {
        (1, 2): Quirk.HIDES,
        (3, 5): Quirk.CUT,
        (4, 1): Quirk.NOT_IN_ALL,
    }),
)  # fmt: skip

# shares of the levels 0..3, in the order of the label files
SHARES = {
    "boredom": (0.40, 0.25, 0.20, 0.15),
    "engagement": (0.16, 0.19, 0.34, 0.31),
    "confusion": (0.48, 0.24, 0.16, 0.12),
    "frustration": (0.55, 0.20, 0.14, 0.11),
}
DEALS = 500


def plan_corpus(seed: int) -> list[Clip]:
    """Plan every clip of the corpus.

    Levels are dealt from a deck with fixed shares, so that each state's levels have nothing to do
    with the other states', the subject, the extension or the order of clips.

    Parameters
    ----------
    seed : int
        The same seed gives the same plan.

    Returns
    -------
    list of Clip
        Sorted by split and name, clips without a video or a label among them.
    """
    clips = []
    for number, split in enumerate(SPLITS):
        rng = np.random.default_rng([seed, number])
        places = [(s, c) for s in range(split.subjects) for c in range(split.clips)]
        places += [place for place in split.quirks if place not in places]
        dealt = dict(zip(places, _deal(places, rng), strict=True))
        for subject, clip in sorted(places):
            identity = str(split.first_subject + subject)
            extension = ("avi", "mp4")[subject % 2]
            quirk = split.quirks.get((subject, clip), Quirk.NONE)
            name = f"{identity}{clip + 1:04d}.{extension}"
            levels = Levels(*(int(level) for level in dealt[subject, clip]))
            clips.append(Clip(split.name, identity, name, levels, quirk))
    return clips


def _deal(places: list[tuple[int, int]], rng: np.random.Generator) -> NDArray[np.int64]:
    """The most balanced of `DEALS` random deals, one row of four levels per place."""
    subjects, order = np.array(places).T
    decks = [_deck(shares, len(places)) for shares in SHARES.values()]
    deals = (np.stack([rng.permutation(deck) for deck in decks], axis=1) for _ in range(DEALS))
    return min(deals, key=lambda levels: _imbalance(levels, subjects, order))


def _deck(shares: tuple[float, ...], size: int) -> NDArray[np.int64]:
    ends = np.round(np.cumsum(shares) * size).astype(int)
    return np.searchsorted(ends, np.arange(size), side="right")


def _imbalance(
    levels: NDArray[np.int64], subjects: NDArray[np.int64], order: NDArray[np.int64]
) -> float:
    """The strongest link between a state and anything that should not tell it."""
    table = np.column_stack([levels, subjects % 2, order])
    links = np.triu(np.corrcoef(table.T), k=1)[:4]
    means = np.array([levels[subjects == subject].mean(axis=0) for subject in np.unique(subjects)])
    return float(max(np.abs(links).max(), (means.var(axis=0) / levels.var(axis=0)).max()))
