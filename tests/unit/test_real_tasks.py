"""A real-valued task from labels to metrics, beside tasks with levels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from training_sequences import SMALL, TASKS, arrays

from affectflow.dataset.folds import deal
from affectflow.dataset.tasks import Task
from affectflow.evaluation import real
from affectflow.evaluation.choose import choose, validation_results
from affectflow.evaluation.intervals import resample
from affectflow.evaluation.paired import compare
from affectflow.evaluation.report import evaluate, read_predictions
from affectflow.evaluation.tables import results_table
from affectflow.figures.comparison import comparisons_html
from affectflow.figures.overview import draw as draw_overview
from affectflow.figures.sweep import sweep_html
from affectflow.figures.table import results_html
from affectflow.temporal.decide import Decision
from affectflow.training.data import SequenceData, assemble, permuted
from affectflow.training.experiment import read_experiment
from affectflow.training.finish import decisions_of
from affectflow.training.fit import fit
from affectflow.training.fusion import fuse
from affectflow.training.model_files import load_model, save_model
from affectflow.training.pooled import fit_pooled, predict_pooled
from affectflow.training.pooled_files import load_pooled, save_pooled
from affectflow.training.predict import predict, tabulate, write_predictions

VALENCE = Task("valence", "real", ())
MIXED = [TASKS[0], VALENCE, TASKS[1]]


def mixed() -> tuple[SequenceData, pandas.DataFrame]:
    """Return sequences whose feature 2 goes with valence, of mean 50 and deviation 10."""
    embedding, mask, clip_id, table = arrays()
    rng = np.random.default_rng(5)
    valence = rng.normal(0, 1, len(table))
    embedding[:, :, 2] += (valence[:, None] * mask).astype(np.float16)
    table["valence"] = pandas.array((50 + 10 * valence).round(3), dtype="Float64")
    table.loc[table.groupby("split").nth(2).index, "valence"] = pandas.NA
    return assemble(embedding, mask, clip_id, table, MIXED), table


NUMBERS = st.lists(st.tuples(*[st.floats(-100, 100)] * 2), min_size=2, max_size=30)


@given(NUMBERS, st.integers(1, 4))
@settings(deadline=None)
def test_scores_are_those_of_the_definitions(pairs: list[tuple[float, float]], who: int) -> None:
    x, y = np.array(pairs).round(3).T
    sums = real.subject_sums(np.arange(len(x)) % who, x, y)
    assert sums.shape == (min(who, len(x)), 8)
    found = real.from_sums(sums.sum(axis=0))
    assert found["mae"] == pytest.approx(np.abs(x - y).mean())
    assert found["mse"] == pytest.approx(((x - y) ** 2).mean())
    if np.ptp(x) > 0.1 and np.ptp(y) > 0.1:
        assert found["pearson"] == pytest.approx(pearsonr(x, y).statistic, abs=1e-6)
        covariance = ((x - x.mean()) * (y - y.mean())).mean()
        lin = 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert found["ccc"] == pytest.approx(lin, abs=1e-6)


def test_a_constant_has_no_correlation_and_no_concordance() -> None:
    label = np.array([1e6, 1e6 + 1, 1e6 + 2])
    found = real.from_sums(real.subject_sums(np.zeros(3), label, np.full(3, 1e6)).sum(axis=0))
    assert found["ccc"] == 0
    assert np.isnan(found["pearson"])
    same = real.from_sums(real.subject_sums(np.zeros(3), label, label).sum(axis=0))
    assert same["ccc"] == same["pearson"] == 1
    alike = real.subject_sums(np.zeros(2), np.full(2, 0.1), np.full(2, 0.1))
    assert np.isnan(real.from_sums(alike.sum(axis=0))["ccc"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pandas.DataFrame]:
    folder = tmp_path_factory.mktemp("mixed")
    data, table = mixed()
    experiment = read_experiment({**SMALL, "epochs": 12, "select_by": "ccc"})
    fitted = fit(
        data, MIXED, experiment, folder / "checkpoint.pt", device=torch.device("cpu"), seed=3
    )
    assert {"validation_ccc", "validation_mae_valence", "validation_macro_f1"} <= {
        *fitted.history.columns
    }
    assert fitted.history["validation_macro_f1_valence"].isna().all()
    own = fitted.model.objective.decisions()
    found = predict(fitted.model, data)
    decisions = decisions_of(found, data, MIXED, experiment, own, 3)
    assert [decision.rule for decision in decisions] == ["mode", "value", "mode"]
    write_predictions(tabulate(found, data, MIXED, decisions), folder / "predictions.csv")
    files = folder / "model.safetensors", folder / "model.json"
    save_model(fitted.model, *files, decisions, {})
    again = load_model(*files, torch.device("cpu"))
    for one, other in zip(found, predict(again, data), strict=True):
        np.testing.assert_array_equal(one, other)
    return folder, table


def test_a_number_is_learnt_in_its_own_unit(trained: tuple[Path, pandas.DataFrame]) -> None:
    folder, table = trained
    rows = read_predictions(folder / "predictions.csv")
    scores = evaluate(rows, table, MIXED, resamples=50)["splits"]["test"]
    metrics = scores["valence"]["metrics"]
    assert list(metrics)[:2] == ["mae", "floor_mae"]
    assert metrics["ccc"]["value"] > 0.7
    assert metrics["ccc"]["ci_low"] < metrics["ccc"]["value"] < metrics["ccc"]["ci_high"]
    assert metrics["floor_ccc"]["value"] == 0
    assert metrics["mae"]["value"] < 0.7 * metrics["floor_mae"]["value"]
    assert scores["valence"]["levels"] == scores["valence"]["confusion"] == []
    assert scores["engagement"]["metrics"]["macro_f1"]["value"] > 0.5
    json.dumps(scores, allow_nan=False)


def test_predictions_beside_numbers_stay_whole(trained: tuple[Path, pandas.DataFrame]) -> None:
    folder, table = trained
    text = pandas.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    levels = text[text["task"] == "engagement"]
    assert set(levels["predicted"]) <= {"0", "1", "2"}
    assert set(levels["label"]) <= {"", "0", "1", "2"}
    numbers = text[text["task"] == "valence"]
    assert (numbers["p_0"] == "").all() and (numbers["predicted"].str.len() <= 10).all()
    given = table.set_index("clip_id")["valence"].reindex(numbers["clip_id"])
    assert list(numbers["label"]) == ["" if pandas.isna(v) else f"{v:.10g}" for v in given]


def test_permuted_labels_move_numbers_with_levels() -> None:
    data, _ = mixed()
    other = permuted(data, 1)
    assert data.values is not None and other.values is not None
    pairs = [
        {tuple(row) for row in np.nan_to_num(np.column_stack([d.levels, d.values]), nan=-9)}
        for d in (data, other)
    ]
    assert pairs[0] == pairs[1]
    assert not np.array_equal(data.values, other.values, equal_nan=True)
    assert data.digest() != other.digest()


@pytest.mark.parametrize(
    "keys",
    [
        {"level_weights": "balanced", "sampling": "balanced"},
        {"loss": "coral", "mixup": 0.2, "feature_alpha": 0.05},
        {"loss": "focal", "decide": "calibrated"},
    ],
)
def test_every_key_goes_with_a_number(tmp_path: Path, keys: dict) -> None:
    data, _ = mixed()
    experiment = read_experiment({**SMALL, "epochs": 1, **keys})
    fitted = fit(data, MIXED, experiment, tmp_path / "c.pt", device=torch.device("cpu"), seed=3)
    assert np.isfinite(fitted.history["train_loss"]).all()
    # In the labels' deviations: no loss of hundreds beside those of levels.
    assert fitted.history["train_loss"].iloc[0] < 8


@pytest.mark.parametrize("head", ["pooled_ridge", "pooled_svm", "pooled_forest", "pooled_boosting"])
@pytest.mark.parametrize("one_value", [False, True])
def test_pooled_heads_predict_numbers(tmp_path: Path, head: str, one_value: bool) -> None:
    data, _ = mixed()
    if one_value:
        assert data.values is not None
        data.values[:, 1] = np.where(np.isnan(data.values[:, 1]), np.nan, 7.5)
    keys = {"trees": 20} if head == "pooled_forest" else {}
    experiment = read_experiment({"head": head, "level_weights": "balanced", **keys})
    model, history = fit_pooled(data, MIXED, experiment, seed=1)
    assert history["validation_loss"].notna().all()
    found = predict_pooled(model, data, 6)
    if one_value:
        assert found[1] == pytest.approx(7.5)
    else:
        assert history["validation_ccc_valence"].iloc[0] > 0.3
    files = tmp_path / "model.safetensors", tmp_path / "model.json"
    decisions = [Decision("mode"), Decision("value"), Decision("mode")]
    save_pooled(model, *files, decisions, {})
    for one, other in zip(found, predict_pooled(load_pooled(*files), data, 6), strict=True):
        np.testing.assert_array_equal(one, other)


def test_fused_numbers_are_means(trained: tuple[Path, pandas.DataFrame], tmp_path: Path) -> None:
    folder, _ = trained
    rows = read_predictions(folder / "predictions.csv")
    number = rows["task"] == "valence"
    rows.loc[number, "predicted"] += 2
    write_predictions(rows, tmp_path / "predictions.csv")
    found = fuse([folder / "predictions.csv", tmp_path / "predictions.csv"], MIXED)
    np.testing.assert_allclose(
        found.loc[number, "predicted"], rows.loc[number, "predicted"] - 1, atol=1e-5
    )


def test_comparisons_and_pages_show_numbers(trained: tuple[Path, pandas.DataFrame]) -> None:
    folder, table = trained
    rows = read_predictions(folder / "predictions.csv")
    worse = rows.copy()
    number = (rows["task"] == "valence").to_numpy()
    worse.loc[number, "predicted"] = np.random.default_rng(0).normal(50, 10, number.sum())
    found = compare({"good": rows, "bad": worse}, table, MIXED, resamples=50)
    own = found[(found["state"] == "valence") & (found["split"] == "test")].set_index("metric")
    assert set(own.index) == set(real.NAMES)
    assert own.loc["ccc", "difference"] < 0 < own.loc["mae", "difference"]
    assert own.loc["ccc", "p"] >= own.loc["ccc", "p_least"] > 0
    assert "valence: test split" in comparisons_html(found)
    results = results_table(
        {"good": evaluate(rows, table, MIXED, 50), "bad": evaluate(worse, table, MIXED, 50)}
    )
    page = results_html(results)
    assert "concordance (CCC)" in page and "macro-F1" in page
    draw_overview(results)


@pytest.mark.parametrize("by", ["ccc", "macro_f1"])
def test_a_sweep_chooses_by_numbers_or_levels(
    trained: tuple[Path, pandas.DataFrame], by: str
) -> None:
    folder, table = trained
    rows = read_predictions(folder / "predictions.csv")
    worse = rows.copy()
    label = worse["label"].to_numpy(float, na_value=0)
    for task in MIXED:
        own = (rows["task"] == task.name).to_numpy()
        worse.loc[own, "predicted"] = 50 if task.kind == "real" else 0
        rows.loc[own, "predicted"] = label[own]
    runs = {"bad": ["bad"], "good": ["good"]}
    found = validation_results({"bad": worse, "good": rows}, table, MIXED, 50)
    choice = choose(found, runs, by)
    assert choice["chosen"] == "good"
    values = {"bad": {"x": 1}, "good": {"x": 2}}
    tested = results_table({"good": evaluate(rows, table, MIXED, 50)})
    page = sweep_html("swept", choice, values, runs, found, tested)
    title = {"ccc": "concordance (CCC)", "macro_f1": "macro-F1"}[by]
    assert f"2 members, chosen by {title}" in page
    assert "concordance (CCC), mean" in page


def test_intervals_are_of_whole_subjects() -> None:
    rng = np.random.default_rng(2)
    who, x, y = np.repeat(np.arange(5), 4), *rng.normal(size=(2, 20))
    drawn = resample(real.subject_sums(who, x, y), 1, 9)
    times = np.random.default_rng(9).multinomial(5, np.full(5, 0.2), size=1)[0]
    clips = np.concatenate([np.tile(np.flatnonzero(who == s), n) for s, n in enumerate(times)])
    expected = np.corrcoef(x[clips], y[clips])[0, 1]
    assert real.from_sums(drawn)["pearson"][0] == pytest.approx(expected)


def test_folds_are_alike_in_numbers() -> None:
    _, table = mixed()
    who = table["subject"].astype(int).to_numpy()
    table["valence"] = pandas.array(who * 1.5, dtype="Float64")
    dealt = deal(table, [VALENCE], 5, 1)
    means = [np.mean([int(s) for s, fold in dealt.items() if fold == f]) for f in range(1, 6)]
    assert max(means) - min(means) < 5


@given(st.sampled_from([1e-9, 1e-3, 1e6]), st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_the_unit_of_the_labels_changes_no_p(unit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, one, other = rng.normal(size=(3, 35)).round(1)
    table = pandas.DataFrame({"clip_id": [f"c{i}" for i in range(35)], "split": "test"})
    table["subject"] = [f"s{i // 5}" for i in range(35)]

    def p_values(scale: float) -> tuple[list[float], list[float]]:
        clips = table.assign(valence=scale * label)
        runs = {
            name: clips.assign(task="valence", label=clips["valence"], predicted=scale * values)
            for name, values in (("one", one), ("other", other))
        }
        scores = evaluate(runs["one"], clips, [VALENCE], 20)["splits"]["test"]["valence"]
        p_floor = [scores["metrics"][name]["p_floor"] for name in ("mae", "mse", "ccc")]
        return compare(runs, clips, [VALENCE], 20)["p"].to_list(), p_floor

    assert p_values(unit) == p_values(1.0)
    assert min(p_values(1.0)[0]) < 1
