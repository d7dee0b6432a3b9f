"""Late fusion of predictions."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas
import pytest
from training_sequences import TASKS, arrays

from affectflow.errors import UserError
from affectflow.evaluation.report import read_predictions
from affectflow.temporal.decide import Decision
from affectflow.training.data import SequenceData, assemble
from affectflow.training.fusion import fuse
from affectflow.training.predict import tabulate, write_predictions


def data() -> SequenceData:
    return assemble(*arrays(), TASKS)


def write(path: Path, seed: int, right: float = 0.0) -> pandas.DataFrame:
    """Write predictions that lean to the truth by so much."""
    rng = np.random.default_rng(seed)
    known = data()
    probabilities = []
    for place, task in enumerate(TASKS):
        p = rng.dirichlet(np.ones(len(task.levels)), len(known))
        p += right * np.eye(len(task.levels))[known.levels[:, place].clip(min=0)]
        probabilities.append((p / p.sum(1, keepdims=True)).round(6))
    write_predictions(tabulate(probabilities, known, TASKS, [Decision("mode")] * 2), path)
    return read_predictions(path)


def accuracy(table: pandas.DataFrame) -> float:
    rows = table[(table["split"] == "test") & table["label"].notna()]
    return float((rows["label"] == rows["predicted"]).mean())


def test_fused_probabilities_are_the_mean_and_better_than_each(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.csv" for i in range(5)]
    tables = [write(path, i, 0.6) for i, path in enumerate(paths)]
    fused = fuse(paths, TASKS)
    assert list(fused.columns) == list(tables[0].columns)
    columns = ["p_0", "p_1", "p_2"]
    mean = np.mean([table[columns].to_numpy() for table in tables], axis=0)
    np.testing.assert_allclose(fused[columns], mean, atol=1e-6)
    words = fused["task"] == "camera"
    assert fused.loc[words, "p_2"].isna().all()
    assert (fused["predicted"] == fused[columns].to_numpy(float).argmax(1))[~words].all()
    assert accuracy(fused) > max(map(accuracy, tables))
    # What is written is read again as it was.
    write_predictions(fused, tmp_path / "fused.csv")
    pandas.testing.assert_frame_equal(read_predictions(tmp_path / "fused.csv"), fused)


def test_the_same_experiment_twice_is_itself(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", 1)
    pandas.testing.assert_frame_equal(fuse([tmp_path / "a.csv"] * 2, TASKS), table)


def test_clips_that_one_did_not_score_are_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "a.csv", 1)
    few = write(tmp_path / "b.csv", 2)
    few[4:].to_csv(tmp_path / "b.csv", index=False)
    with caplog.at_level(logging.WARNING):
        fused = fuse([tmp_path / "a.csv", tmp_path / "b.csv"], TASKS, "calibrated")
    assert len(fused) == len(few) - 4
    assert "a.csv: 4 of its predictions are not shared" in caplog.text


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", 1)
    other = table.assign(label=(2 - table["label"]).where(table["task"] == "engagement"))
    other.to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(UserError, match="has another label than in"):
        fuse([tmp_path / "a.csv", tmp_path / "b.csv"], TASKS)
    table.assign(clip_id="x" + table["clip_id"]).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(UserError, match="shares no clip"):
        fuse([tmp_path / "a.csv", tmp_path / "c.csv"], TASKS)
