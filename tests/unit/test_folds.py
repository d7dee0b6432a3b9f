"""Subjects dealt to folds, and the folds' predictions gathered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.dataset.clips import read_clips
from affectflow.dataset.folds import deal, of_fold, write_clips
from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.training.cross_validate import gather
from affectflow.training.predict import write_predictions

TASKS = [
    Task("engagement", "ordinal", ("0", "1", "2", "3")),
    Task("camera", "nominal", ("a", "b")),
]


def table(clips_each: list[int], seed: int = 0) -> pandas.DataFrame:
    """A clip table; about a tenth of the levels is missing."""
    rng = np.random.default_rng(seed)
    subject = np.repeat([f"s{i:02d}" for i in range(len(clips_each))], clips_each)
    n = len(subject)
    levels = {
        task.name: pandas.array(
            np.where(rng.random(n) < 0.1, None, rng.integers(0, len(task.levels), n)),
            dtype="Int64",
        )
        for task in TASKS
    }
    return pandas.DataFrame(
        {
            "clip_id": [f"c{i:04d}" for i in range(n)],
            "subject": subject,
            "split": rng.choice(["train", "validation", "test"], n),
            "path": "",
            "shard": 0,
            **levels,
            "status": "ok",
        }
    )


@given(st.lists(st.integers(1, 30), min_size=5, max_size=30), st.integers(3, 5), st.integers(0, 5))
def test_every_subject_is_tested_once_and_on_one_side(
    clips_each: list[int], folds: int, seed: int
) -> None:
    clips = table(clips_each)
    dealt = deal(clips, TASKS, folds, seed)
    assert set(dealt) == set(clips["subject"])
    assert set(dealt.values()) == set(range(1, folds + 1)), "no fold is empty"
    tested = []
    for fold in range(1, folds + 1):
        own = of_fold(clips, dealt, fold, folds)
        assert (own.groupby("subject")["split"].nunique() == 1).all()
        assert set(own["split"]) == {"train", "validation", "test"}
        tested += own.loc[own["split"] == "test", "clip_id"].tolist()
    assert sorted(tested) == sorted(clips["clip_id"])
    assert set(of_fold(clips, dealt, None, folds)["split"]) == {"test"}


def test_the_next_fold_validates() -> None:
    clips = table([3] * 6)
    dealt = deal(clips, TASKS, 3, 1)
    last, first = (of_fold(clips, dealt, fold, 3) for fold in (3, 1))
    assert (
        last.loc[last["split"] == "validation", "clip_id"].tolist()
        == first.loc[first["split"] == "test", "clip_id"].tolist()
    )


def test_folds_are_alike_in_size_and_levels() -> None:
    # 40 subjects; a rare level is with eight of them, two for each of four folds.
    clips = table([20] * 40).assign(engagement=pandas.array([2] * 800, dtype="Int64"))
    rare = clips["subject"].isin([f"s{i:02d}" for i in range(0, 40, 5)])
    clips.loc[rare, "engagement"] = 0
    dealt = deal(clips, TASKS, 4, 1)
    size = pandas.Series(dealt).value_counts()
    assert size.to_dict() == dict.fromkeys((1, 2, 3, 4), 10)
    with_rare = pandas.Series({s: dealt[s] for s in set(clips.loc[rare, "subject"])})
    assert with_rare.value_counts().to_dict() == dict.fromkeys((1, 2, 3, 4), 2)


def test_the_seed_deals_and_the_order_of_rows_and_given_splits_do_not() -> None:
    clips = table([10] * 20)
    assert deal(clips, TASKS, 5, 1) == deal(clips[::-1].assign(split="train"), TASKS, 5, 1)
    assert deal(clips, TASKS, 5, 1) != deal(clips, TASKS, 5, 2)


def test_more_folds_than_subjects() -> None:
    with pytest.raises(UserError, match="folds: 4 folds of 3 subjects"):
        deal(table([5, 5, 5]), TASKS, 4, 1)


def test_the_table_is_read_as_it_was(tmp_path: Path) -> None:
    clips = table([3, 4])
    clips.loc[0, "subject"] = "NA"
    write_clips(clips, tmp_path / "clips.csv")
    pandas.testing.assert_frame_equal(read_clips(tmp_path / "clips.csv", TASKS), clips)


def predictions(clips: pandas.DataFrame, level: int) -> pandas.DataFrame:
    columns = clips[["clip_id", "subject", "split"]]
    return columns.assign(
        task="engagement", label=clips["engagement"], predicted=level, p_0=0.5, p_1=0.5
    )


def test_each_clip_comes_from_the_run_that_tested_it(tmp_path: Path) -> None:
    clips = table([3] * 6)
    dealt = deal(clips, TASKS, 3, 1)
    paths = [tmp_path / f"{fold}.csv" for fold in (1, 2, 3)]
    for fold, path in enumerate(paths, start=1):
        write_predictions(predictions(of_fold(clips, dealt, fold, 3), fold), path)
    gathered = gather(paths)
    assert gathered["clip_id"].tolist() == clips["clip_id"].tolist()
    assert set(gathered["split"]) == {"test"}
    assert gathered["predicted"].tolist() == clips["subject"].map(dealt).tolist()


def test_a_subject_that_two_runs_test(tmp_path: Path) -> None:
    clips = table([3] * 3).assign(split="test")
    for name in ("a.csv", "b.csv"):
        write_predictions(predictions(clips, 1), tmp_path / name)
    with pytest.raises(UserError, match=r"b\.csv: subject s00 is tested in .*a\.csv too"):
        gather([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_nothing_that_is_tested(tmp_path: Path) -> None:
    write_predictions(predictions(table([3]).assign(split="train"), 1), tmp_path / "a.csv")
    with pytest.raises(UserError, match="no fold has a test clip"):
        gather([tmp_path / "a.csv"])
