import re

import numpy as np
import pandas as pd
import pytest
from published_run import results, scores

from affectflow.evaluation.spread import read_spread, spread
from affectflow.evaluation.tables import write_results
from affectflow.published import numbers
from affectflow.published.best import best_experiments
from affectflow.published.compare import COLUMNS, compare, write_published
from affectflow.published.names import BASELINES, EXPERIMENTS, MATRICES, STATES, VANILLA
from affectflow.published.scores import NOT_RUN, RANDOM_WEIGHTS, Scores

NAMES = ["table", "experiment", "state", "metric"]


def compared(experiments, levels=None, layout="daisee"):
    return compare(results(experiments), numbers.levels() if levels is None else levels, layout)


def cell(rows, *key):
    """The one row of a table, experiment, state and metric."""
    return rows.set_index(NAMES).loc[key].squeeze()


# The published numbers


def test_published_numbers_are_the_reference_s(shared):
    reference = shared / "reference"
    pd.testing.assert_frame_equal(
        numbers.levels(), pd.read_csv(reference / "table_4_1_levels.csv"), check_dtype=False
    )
    expected = pd.read_csv(reference / "tables_4_3_to_4_6_results.csv")
    expected["experiment"] = "experiment_" + expected["experiment"].astype(str)
    pd.testing.assert_frame_equal(numbers.results(), expected, check_dtype=False)
    pd.testing.assert_frame_equal(
        numbers.baselines(), pd.read_csv(reference / "table_4_7_baselines.csv"), check_dtype=False
    )


def test_published_scores_are_those_of_the_dissertation_s_text(shared):
    text = (shared / "seeds" / "abraham2022_dissertation.txt").read_text(encoding="utf-8")
    known = {
        (row[0], *(-1.0 if np.isnan(number) else number for number in row[2:]))
        for row in numbers.results().itertuples(index=False, name=None)
    }
    found = 0
    for number, line in re.findall(r"^Exp (\d+)\t([\d.]+%.*)$", text, re.MULTILINE):
        fields = [field.rstrip("%").replace("NA", "-1") for field in line.strip().split("\t")]
        for start in range(0, len(fields), 5):
            scores = (float(field) for field in fields[start : start + 5])
            assert (f"experiment_{number}", *scores) in known
            found += 1
    # Tables 4.3 to 4.6, and 4.8 to 4.12.
    assert found == 4 * 11 + 4 + 4 + 12 + 4 + 6


def test_every_experiment_has_every_state():
    table = numbers.results()
    assert sorted(zip(table["experiment"], table["state"], strict=True)) == sorted(
        (name, state) for name in EXPERIMENTS for state in STATES
    )
    assert list(numbers.baselines()["state"]) == list(STATES)
    assert set(numbers.best()["state"]) == set(STATES)


def test_tables_come_in_the_dissertation_s_order():
    assert list(numbers.tables()) == ["4.1", *(f"4.{number}" for number in range(3, 14))]
    assert numbers.tables()["4.10"].experiments == EXPERIMENTS[4:8]
    assert numbers.tables()["4.10"].states == STATES[:3]
    assert numbers.tables()["4.7"].experiments == VANILLA
    assert [name.removeprefix("experiment_") for name in MATRICES] == [*"3456789", "11"]


def test_each_file_says_where_its_numbers_are_from():
    for path in numbers.FOLDER.glob("*.csv"):
        assert "Abraham 2022" in path.read_text(encoding="utf-8").splitlines()[0]


# Ours beside them


def test_ours_stands_beside_the_published_number():
    rows = compared({"experiment_6": scores(0.60)})
    assert list(rows.columns) == COLUMNS
    accuracy = cell(rows, "4.4", "experiment_6", "engagement", "accuracy_percent")
    assert (accuracy["published"], accuracy["ours"]) == (57.58, 60)
    assert (accuracy["ci_low"], accuracy["ci_high"]) == pytest.approx((55, 65))
    assert accuracy["difference"] == pytest.approx(2.42)
    f1 = cell(rows, "4.4", "experiment_6", "engagement", "f1_level_2")
    assert (f1["published"], f1["ours"]) == (0.67, 0.125)
    assert f1["difference"] == pytest.approx(0.125 - 0.67)
    # The same number wherever the dissertation repeats it.
    for table in ("4.9", "4.10"):
        again = cell(rows, table, "experiment_6", "engagement", "accuracy_percent")
        assert again["difference"] == accuracy["difference"]


def test_every_published_number_has_its_row():
    rows = compared({"experiment_6": scores(0.60)})
    counts = rows[rows["table"] != "4.13"].groupby("table", sort=False).size().to_dict()
    expected = {"4.1": 3 * 4 * 5} | {f"4.{n}": 11 * 5 for n in (3, 4, 5, 6)} | {"4.7": 4 * 5}
    expected |= {"4.8": 20, "4.9": 20, "4.10": 60, "4.11": 20, "4.12": 30}
    assert counts == expected
    published = rows[rows["published"].isna()]
    assert set(published["experiment"]) == {"experiment_1"}


def test_what_is_missing_says_why():
    nothing = scores(np.nan, (np.nan,) * 4)
    undefined = scores(0.5, (0.5, 0.5, 0.5, np.nan))
    rows = compared({"experiment_2": nothing, "experiment_3": undefined})
    expected = {"experiment_2": "not scored", "experiment_3": "", "experiment_4": "not run"}
    for name, says in expected.items():
        assert cell(rows, "4.7", name, "boredom", "accuracy_percent")["ours_note"] == says
    assert cell(rows, "4.3", "experiment_3", "boredom", "f1_level_3")["ours_note"] == "undefined"
    baselines = rows[rows["experiment"].isin(BASELINES)]
    assert set(baselines["ours_note"]) == {"not part of this pipeline"}
    assert baselines["ours"].isna().all()
    run = rows["ours"].notna()
    assert rows.loc[run & rows["published"].notna(), "difference"].notna().all()
    assert rows.loc[~run & (rows["table"] != "4.1"), "ours_note"].ne("").all()


def test_an_unpublished_number_leaves_ours_without_a_difference():
    row = cell(
        compared({"experiment_1": scores(0.5)}), "4.3", "experiment_1", "boredom", "f1_level_0"
    )
    assert np.isnan(row["published"])
    assert row["ours"] == 0.5
    assert np.isnan(row["difference"])


def test_a_constant_of_ours_is_called_one():
    rows = compared({"experiment_3": scores(0.5, collapsed=1)})
    row = cell(rows, "4.3", "experiment_3", "boredom", "accuracy_percent")
    assert row["ours_note"] == "predicts one level"


def test_levels_are_compared_as_counts():
    levels = numbers.levels()
    levels.loc[(levels["split"] == "test") & (levels["state"] == "boredom"), "level_0"] -= 3
    rows = compared({"experiment_6": scores(0.6)}, levels)
    own = rows[(rows["table"] == "4.1") & (rows["split"] == "test") & (rows["state"] == "boredom")]
    assert own.set_index("metric")["difference"].to_dict() == {
        "level_0": -3, "level_1": 0, "level_2": 0, "level_3": 0, "total": 0
    }  # fmt: skip


def test_levels_of_another_shape_are_no_error():
    levels = pd.DataFrame([("test", "joy", 1, 2, 3)], columns=["split", "state", *"ab", "total"])
    rows = compared({"experiment_6": scores(0.6)}, levels)
    assert rows.loc[rows["table"] == "4.1", "ours"].isna().all()


@pytest.mark.parametrize(
    ("names", "layout"),
    [(["lstm", "lstm_permuted"], "daisee"), ([], "daisee"), (["experiment_6"], "manifest")],
)
def test_other_studies_have_nothing_to_compare(names, layout, tmp_path):
    rows = compared({name: scores(0.5) for name in names}, layout=layout)
    assert rows.empty
    write_published(tmp_path / "published.csv", rows)
    assert (tmp_path / "published.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_a_state_that_was_not_predicted_is_not_scored():
    table = results({"experiment_6": scores(0.6)}, states=["boredom"])
    rows = compare(table, numbers.levels(), "daisee")
    row = cell(rows, "4.4", "experiment_6", "engagement", "accuracy_percent")
    assert row["ours_note"] == "not scored"
    choices = rows.loc[(rows["table"] == "4.13") & (rows["state"] == "engagement"), "choice"]
    assert not choices.str.startswith("ours").any()


def test_numbers_of_random_weights_say_so():
    run = {"experiment_1": scores(0.6, collapsed=1), "experiment_3": scores(0.5)}
    rows = compare(results(run), numbers.levels(), "daisee", ["experiment_1", "experiment_2"])
    said = cell(rows, "4.3", "experiment_1", "boredom", "accuracy_percent")["ours_note"]
    assert said == "random weights; predicts one level"
    assert cell(rows, "4.3", "experiment_1", "boredom", "f1_level_0")["ours_note"] == RANDOM_WEIGHTS
    assert cell(rows, "4.7", "experiment_3", "boredom", "accuracy_percent")["ours_note"] == ""
    assert cell(rows, "4.7", "experiment_2", "boredom", "accuracy_percent")["ours_note"] == NOT_RUN


def test_of_several_seeds_the_mean_is_compared():
    runs = {f"experiment_2-seed_{n}": scores(0.4 + n / 100, collapsed=n == 3) for n in (1, 2, 3)}
    run = results(runs | {"experiment_3": scores(0.5)})
    over_seeds = spread(run, {"experiment_2": list(runs)})
    rows = compare(run, numbers.levels(), "daisee", ["experiment_2"], over_seeds)
    accuracy = cell(rows, "4.3", "experiment_2", "boredom", "accuracy_percent")
    assert (accuracy["published"], accuracy["ours"]) == pytest.approx((41.33, 42))
    assert accuracy["difference"] == pytest.approx(0.67)
    assert accuracy[["ci_low", "ci_high"]].isna().all()
    said = "random weights; 3 seeds ± 1.00; predicts one level in 1 of 3"
    assert accuracy["ours_note"] == said
    f1 = cell(rows, "4.7", "experiment_3", "boredom", "accuracy_percent")
    assert (f1["ours"], f1["ours_note"]) == (50, "")
    best = rows[rows["choice"] == "ours: best by accuracy"]
    assert set(best["experiment"]) == {"experiment_3"}


def test_what_was_tested_in_folds_says_so():
    folds = {f"experiment_3-fold_{n}": scores(0.4 + n / 10) for n in (1, 2, 3)}
    over = spread(results(folds), {"experiment_3": list(folds)}, "folds")
    run = results({"experiment_3": scores(0.5), "experiment_4": scores(0.5)})
    rows = compare(run, numbers.levels(), "daisee", (), over)
    row = cell(rows, "4.3", "experiment_3", "boredom", "accuracy_percent")
    assert (row["ours"], row["ours_note"]) == (50, "3 folds, all subjects tested")
    plain = cell(rows, "4.3", "experiment_4", "boredom", "accuracy_percent")
    assert plain["ours_note"] == ""


def test_a_study_of_seeds_alone_is_compared(tmp_path):
    runs = {f"experiment_2-seed_{n}": scores(0.4, collapsed=1) for n in (1, 2)}
    over_seeds = spread(results(runs), {"experiment_2": list(runs)})
    write_results(tmp_path / "spread.csv", over_seeds)
    read = read_spread(tmp_path / "spread.csv")
    rows = compare(results(runs), numbers.levels(), "daisee", (), read)
    row = cell(rows, "4.3", "experiment_2", "boredom", "accuracy_percent")
    assert row["ours_note"] == "2 seeds ± 0.00; predicts one level"
    # Most studies have no such experiment.
    write_results(tmp_path / "none.csv", spread(results(runs), {}))
    none = read_spread(tmp_path / "none.csv")
    assert compare(results(runs), numbers.levels(), "daisee", (), none).empty


# The best


def test_the_best_are_chosen_as_published_and_anew():
    run = {
        "experiment_2": scores(0.7, (0.1, 0.1, 0.1, 0.1)),
        "experiment_5": scores(0.6, (0.5, 0.5, 0.5, 0.5)),
        "experiment_6": scores(0.7, (0.2, 0.1, 0.1, 0.1)),
        "lstm": scores(0.9, (0.9, 0.9, 0.9, 0.9)),
    }
    rows = compared(run)
    best = rows[(rows["table"] == "4.13") & (rows["state"] == "boredom")]
    chosen = best.groupby("choice", sort=False)["experiment"].unique().map(list).to_dict()
    assert chosen == {
        "published: best by F1 score": ["experiment_6"],
        "published: best by accuracy": ["experiment_9"],
        "ours: best by accuracy": ["experiment_2", "experiment_6"],
        "ours: best by macro-F1": ["experiment_5"],
    }
    assert rows.loc[rows["table"] != "4.13", "choice"].eq("").all()


def test_the_best_of_nothing_is_nothing():
    empty = results({"experiment_6": scores(np.nan, (np.nan,) * 4)})
    assert best_experiments(Scores(empty), "boredom", "accuracy") == []
    assert best_experiments(Scores(results({})), "boredom", "accuracy") == []


def test_the_published_accuracies_choose_what_the_dissertation_chose():
    table = numbers.results().set_index("experiment")
    for row in numbers.best().itertuples():
        if "accuracy" in row.criterion:
            accuracy = table.loc[table["state"] == row.state, "accuracy_percent"]
            # Experiment 1's 67.50 for confusion is overlooked; see the notes.
            accuracy = accuracy.drop("experiment_1")
            assert tuple(accuracy[accuracy == accuracy.max()].index) == row.experiments


def test_equal_runs_are_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_published(tmp_path / name, compared({"experiment_6": scores(1 / 3)}))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read = pd.read_csv(tmp_path / "one", dtype={"table": str})
    assert list(dict.fromkeys(read["table"])) == list(numbers.tables())


def test_an_interval_that_is_too_narrow_says_so():
    run = results({"experiment_3": scores(0.5)})
    rare = run["metric"] == "f1_level_0"
    warning = "interval from 618 of 1,000 resamples: others do not define this metric"
    run = run.assign(ci_warning=run["ci_warning"].mask(rare, warning))
    rows = compare(run, numbers.levels(), "daisee")
    f1 = cell(rows, "4.4", "experiment_3", "engagement", "f1_level_0")
    assert f1["ours_note"] == "interval from 618 of 1,000 resamples"
    assert cell(rows, "4.4", "experiment_3", "engagement", "f1_level_1")["ours_note"] == ""
