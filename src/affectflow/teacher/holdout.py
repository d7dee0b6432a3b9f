"""What of the training tables the epochs are judged by, so that no test figure is chosen on.

Neither data set names people; photos are told apart by their content. No photo is in two parts, nor
in both data sets' different parts.
"""

from __future__ import annotations

import heapq

import numpy as np
import pandas
from numpy.typing import NDArray

from affectflow.errors import UserError
from affectflow.teacher.audit import AuditRow

SHARE = 0.05
"""Of the training triplets, and of each expression's images."""

LEAST = 200
"""Triplets that tell epochs apart. For as many, more of those that share photos are given up."""

MOST_TOUCHED = 0.25
"""Of all triplets: what is held out, and what shares photos with that."""

PHOTOS = ["content_1", "content_2", "content_3"]


def hold_out(
    triplets: pandas.DataFrame, expressions: pandas.DataFrame, share: float = SHARE
) -> tuple[pandas.DataFrame, pandas.DataFrame, list[AuditRow]]:
    """Call a part of the training rows ``validation``.

    Of triplets a group that shares few photos with the rest (`draw_triplets`); of each expression's
    images those whose content hash comes first. Training rows that show a photo of another part are
    left out, and first of all those that show one of a test table.

    Parameters
    ----------
    triplets, expressions : pandas.DataFrame
        As `affectflow.teacher.index.write_index` writes them; `split` is ``train`` or ``test``.
    share : float

    Returns
    -------
    triplets, expressions : pandas.DataFrame
        Without the rows that are left out; `split` is ``train``, ``validation`` or ``test``.
    audit : list of AuditRow
        A row ``held_out`` for each that is left out.

    Raises
    ------
    UserError
        If nothing is left to train on or to validate with.
    """
    triplets, expressions = triplets.reset_index(drop=True), expressions.reset_index(drop=True)
    audit: list[AuditRow] = []
    tested = _shown(triplets, expressions, "test")
    triplets = _without(triplets, PHOTOS, "train", tested, "test", audit)
    expressions = _without(expressions, ["content"], "train", tested, "test", audit)

    triplets["split"] = triplets["split"].where(~_drawn(triplets, share), "validation")
    held = _first_contents(expressions[expressions["split"] == "train"], share)
    seen = (expressions["split"] == "train") & expressions["content"].isin(held)
    expressions["split"] = expressions["split"].where(~seen, "validation")

    held = _shown(triplets, expressions, "validation")
    triplets = _without(triplets, PHOTOS, "train", held, "validation", audit)
    expressions = _without(expressions, ["content"], "train", held, "validation", audit)
    for name, table in (("fec", triplets), ("affectnet", expressions)):
        for part in ("train", "validation"):
            if not (table["split"] == part).any():
                raise UserError(
                    f"teacher.{name}.train: too few rows, or too few different photos in them, to "
                    f"hold out a part for choosing the epoch: none is left for {part}",
                    "Give the whole table, and all of its photos.",
                )
    return triplets, expressions, audit


def draw_triplets(photos: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Return which triplets to hold out, (n,) bool, losing few others that share their photos.

    A group of photos grows: in each step by those that the triplet lacks of which fewest are
    missing, until a share of all triplets lies within it. It stops before that where twice the
    share touches it, if it has `LEAST`, and where `MOST_TOUCHED` of all do. At the end it takes in
    those that share photos with no triplet outside: they are lost to training anyhow.

    Parameters
    ----------
    photos : numpy.ndarray
        (n, 3) int64 codes of photos. They decide the order, so let them be in random order.
    share : float
        At least one triplet, if there are two.
    """
    n = len(photos)
    target = max(round(share * n), 1) if n > 1 else 0
    lacking = [set(row) for row in photos.tolist()]
    users: dict[int, list[int]] = {}
    for triplet, distinct in enumerate(lacking):
        for photo in distinct:
            users.setdefault(photo, []).append(triplet)
    order = np.lexsort(photos.T[::-1]).tolist()
    rank = {triplet: place for place, triplet in enumerate(order)}
    untouched = iter(order)
    touched: set[int] = set()
    waiting: list[tuple[int, int, int]] = []  # how many photos are lacking, rank, triplet
    inside = 0
    while inside < target:
        enough = min(LEAST, target) if len(touched) < MOST_TOUCHED * n else 1
        if len(touched) >= 2 * target and inside >= enough:
            break
        if waiting:
            count, _, triplet = heapq.heappop(waiting)
            if count != len(lacking[triplet]):
                continue  # an earlier state of it
        else:
            triplet = next(each for each in untouched if each not in touched)
        for photo in set(lacking[triplet]):
            for each in users[photo]:
                touched.add(each)
                lacking[each].discard(photo)
                inside += not lacking[each]
                if lacking[each]:
                    heapq.heappush(waiting, (len(lacking[each]), rank[each], each))
    closed = [all(touched.issuperset(users[photo]) for photo in photos_) for photos_ in lacking]
    return np.array(closed, bool)


def _drawn(triplets: pandas.DataFrame, share: float) -> pandas.Series:
    train = triplets["split"] == "train"
    # Contents are digests: their order is random, and the same wherever the photos lie.
    codes = pandas.factorize(triplets.loc[train, PHOTOS].to_numpy().ravel(), sort=True)[0]
    drawn = pandas.Series(False, index=triplets.index)
    drawn[train] = draw_triplets(codes.reshape(-1, 3), share)
    return drawn


def _first_contents(images: pandas.DataFrame, share: float) -> set[str]:
    held: set[str] = set()
    for _, own in images.groupby("expression"):
        contents = sorted(own["content"].unique())
        held |= set(contents[: max(round(share * len(contents)), int(len(contents) > 1))])
    return held


def _shown(triplets: pandas.DataFrame, expressions: pandas.DataFrame, split: str) -> set[str]:
    """Return the contents of the photos of a part."""
    own = triplets.loc[triplets["split"] == split, PHOTOS]
    return {*own.to_numpy().ravel(), *expressions.loc[expressions["split"] == split, "content"]}


def _without(
    table: pandas.DataFrame,
    columns: list[str],
    split: str,
    others: set[str],
    part: str,
    audit: list[AuditRow],
) -> pandas.DataFrame:
    """Leave out a split's rows that show a photo of another part."""
    lost = (table["split"] == split) & table[columns].isin(others).any(axis=1)
    paths = [column.replace("content", "path") for column in columns]
    for names in table.loc[lost, paths].itertuples(index=False):
        detail = f"a photo of it is in {part}: not trained on"
        audit.append(AuditRow(" and ".join(map(str, names)), "held_out", detail))
    return table[~lost].reset_index(drop=True)
