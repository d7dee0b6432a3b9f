"""Mean and spread over seeds."""

from __future__ import annotations

import math

import pytest
from test_figures_table import HOSTILE, page, scored

from affectflow.evaluation.spread import COLUMNS, spread
from affectflow.evaluation.tables import results_table
from affectflow.figures.table import results_html

RIGHT, HALF = (0, 1, 2, 1), (0, 1, 1, 0)


def test_mean_and_sample_deviation_over_the_runs() -> None:
    results = results_table({"a-1": scored(RIGHT), "a-2": scored(HALF), "b": scored(HALF)})
    table = spread(results, {"a": ["a-1", "a-2"]})
    assert list(table.columns) == COLUMNS
    assert set(table["experiment"]) == {"a"}
    (row,) = table[(table["split"] == "test") & (table["metric"] == "accuracy")].to_dict("records")
    assert (row["mean"], row["min"], row["max"], row["runs"]) == (0.75, 0.5, 1.0, 2)
    assert row["sd"] == pytest.approx(math.sqrt(2 * 0.25**2))


def test_a_metric_that_a_run_lacks_does_not_count_there() -> None:
    # No clip is predicted at level 2 in the second run: no precision there.
    results = results_table({"a-1": scored(RIGHT), "a-2": scored((0, 1, 1, 1))})
    table = spread(results, {"a": ["a-1", "a-2"]}).set_index(["split", "metric"])
    row = table.loc[("test", "precision_level_2")]
    assert (row["mean"], row["runs"]) == (1.0, 1)
    assert math.isnan(row["sd"])


def test_experiments_in_folds_are_told_apart_and_constants_in_folds_counted() -> None:
    constant = (1, 1, 1, 1)
    folds = results_table({"cv-fold_1": scored(RIGHT), "cv-fold_2": scored(constant)})
    over = spread(folds, {"cv": ["cv-fold_1", "cv-fold_2"]}, "folds")
    results = results_table({"cv": scored(HALF), "plain": scored(HALF)})
    html = results_html(results[results["split"] == "test"], (), over)
    text = page(html).text
    assert text.count("all subjects, in 2 folds") == 1
    assert text.count("predicts one level in 1 of 2 folds") == 1
    assert "2 folds" in text.split("never seen")[0], "and among the spreads"


def test_nothing_repeated_is_an_empty_table() -> None:
    table = spread(results_table({"a": scored(RIGHT)}), {})
    assert table.empty and list(table.columns) == COLUMNS


def test_the_page_shows_it_first_and_escapes_names() -> None:
    runs = [f"{HOSTILE}-1", f"{HOSTILE}-2"]
    results = results_table(dict.fromkeys(runs, scored(RIGHT, name=HOSTILE)))
    html = results_html(results, (), spread(results, {HOSTILE: runs}))
    text = page(html).text
    assert "1.000 ± 0.000" in text
    assert html.index("mean over seeds or folds") < html.index("never seen in training")
    assert "mean over seeds or folds" not in results_html(results)
    assert f"{HOSTILE} (random weights)" not in text
    flagged = results_html(results, [HOSTILE], spread(results, {HOSTILE: runs}))
    assert f"{HOSTILE} (random weights)" in page(flagged).text
