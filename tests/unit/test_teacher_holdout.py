"""The part of the training tables by which the teacher's epoch is chosen."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectflow.errors import UserError
from affectflow.teacher.holdout import LEAST, PHOTOS, draw_triplets, hold_out


def content(photo: object) -> str:
    return hashlib.sha256(str(photo).encode()).hexdigest()[:16]


def triplet_table(photos: np.ndarray, split: str, name: str = "f") -> pandas.DataFrame:
    table = pandas.DataFrame({"split": split, "odd": np.arange(len(photos)) % 3})
    for place in range(3):
        table[f"path_{place + 1}"] = [f"{name}{photo}.jpg" for photo in photos[:, place]]
        table[f"content_{place + 1}"] = [content(f"{name}{photo}") for photo in photos[:, place]]
    return table


def image_table(count: int, split: str, name: str) -> pandas.DataFrame:
    names = [f"{name}{i}" for i in range(count)]
    table = pandas.DataFrame({"split": split, "expression": np.arange(count) % 8})
    return table.assign(path=names, content=[*map(content, names)])


def contents(triplets: pandas.DataFrame, images: pandas.DataFrame, split: str) -> set[str]:
    own = triplets[triplets["split"] == split]
    return {*own[PHOTOS].to_numpy().ravel(), *images.loc[images["split"] == split, "content"]}


def tables(photos: np.ndarray, images: int) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    test = triplet_table(np.arange(30).reshape(-1, 3), "test", "t")
    triplets = pandas.concat([triplet_table(photos, "train"), test])
    shown = pandas.concat([image_table(images, "train", "a"), image_table(24, "test", "v")])
    return triplets, shown


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(20, 400), st.integers(60, 2000), st.integers(40, 400))
def test_no_photo_is_in_two_parts(seed: int, triplets: int, photos: int, images: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, photos, (triplets, 3))
    given_triplets, given_images = tables(drawn, images)
    # The two data sets have a photo in common, and so have a training and a test table.
    given_images.iloc[0, 3] = content(f"f{drawn[0, 0]}")
    given_images.iloc[1, 3] = given_images["content"].iloc[-1]
    found, shown, audit = hold_out(given_triplets, given_images)
    parts = [contents(found, shown, split) for split in ("train", "validation", "test")]
    assert all(parts)
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert (found["split"] == "test").sum() == 10 and (shown["split"] == "test").sum() == 24
    lost = len(given_triplets) - len(found) + len(given_images) - len(shown)
    assert len(audit) == lost and {row.status for row in audit} <= {"held_out"}
    held = shown[shown["split"] == "validation"]
    assert set(held["expression"]) == set(range(8)), "each expression has a part in the choice"
    again = hold_out(given_triplets[::-1], given_images[::-1])
    same = contents(again[0], again[1], "validation"), contents(*again[:2], "train")
    assert same == (parts[1], parts[0]), "whatever the tables' order"


def test_groups_that_share_no_photos_are_held_out_whole() -> None:
    groups = np.random.default_rng(0).integers(0, 6, (50, 8, 3)) + 6 * np.arange(50)[:, None, None]
    found, shown, audit = hold_out(*tables(groups.reshape(-1, 3), 800))
    held = found["split"] == "validation"
    assert 0.04 * 400 <= held.sum() <= 0.06 * 400
    assert len(audit) <= 8, "of one group, at most"
    assert (shown["split"] == "validation").sum() == 0.05 * 800


def test_what_is_lost_to_training_anyhow_is_held_out() -> None:
    """Of ten groups one: half of it would do, and the other half could not be trained on."""
    photos = np.random.default_rng(0).integers(0, 12, (10, 40, 3))
    groups = photos + 12 * np.arange(10)[:, None, None]
    found, _, audit = hold_out(*tables(groups.reshape(-1, 3), 800))
    held = found[found["split"] == "validation"]
    assert len(held) == 40
    assert audit == []


def test_of_photos_that_all_hang_together_little_is_lost_and_something_is_held_out() -> None:
    """As many triplets for a photo as in FEC, chosen at random: the worst that can be."""
    photos = np.random.default_rng(1).integers(0, 13_000, (45_000, 3))
    began = time.process_time()
    held = draw_triplets(photos, 0.05)
    assert time.process_time() - began < 20
    touched = np.isin(photos, photos[held]).any(axis=1)
    assert held.sum() >= LEAST
    assert touched.sum() <= 0.15 * len(photos)
    # Of few, as many as a quarter gives.
    photos = np.random.default_rng(1).integers(0, 240, (440, 3))
    held = draw_triplets(photos, 0.05)
    assert held.sum() >= 10
    assert np.isin(photos, photos[held]).any(axis=1).sum() <= 0.3 * len(photos)


def test_too_few_photos_are_told() -> None:
    for photos in (np.array([[0, 1, 2]]), np.array([[0, 1, 2], [2, 1, 0], [1, 2, 0]])):
        with pytest.raises(UserError, match=r"teacher.fec.train: too few rows"):
            hold_out(*tables(photos, 80))
    with pytest.raises(UserError, match=r"teacher.affectnet.train: too few rows"):
        hold_out(*tables(np.arange(300).reshape(-1, 3), 1))
