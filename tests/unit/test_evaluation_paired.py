import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_figures_table import HOSTILE, page

from affectflow.dataset.tasks import LEVELS, Task
from affectflow.errors import UserError
from affectflow.evaluation.metrics import measure
from affectflow.evaluation.paired import COLUMNS, METRICS, compare, holm
from affectflow.evaluation.tables import write_results
from affectflow.figures.comparison import comparisons_html
from affectflow.figures.table import RANDOM

ORDINAL = Task("engagement", "ordinal", LEVELS)
NOMINAL = Task("emotion", "nominal", ("calm", "happy", "sad"))


def study(task=ORDINAL, subjects=8, each=12, splits=("test", "validation"), seed=0):
    """Return a clip table with random labels."""
    rng = np.random.default_rng(1000 + seed)
    count = subjects * each
    return pd.concat(
        pd.DataFrame(
            {
                "clip_id": [f"{split}{i}" for i in range(count)],
                "subject": [f"{split}-{i % subjects}" for i in range(count)],
                "split": split,
                task.name: pd.array(rng.integers(0, len(task.levels), count), dtype="Int64"),
            }
        )
        for split in splits
    ).reset_index(drop=True)


def predicted(clips, right, task=ORDINAL, seed=0):
    """Return predictions of which a share is right by design, the others at random."""
    rng = np.random.default_rng(seed)
    label = clips[task.name]
    guess = rng.integers(0, len(task.levels), len(clips))
    codes = np.where(rng.random(len(clips)) < right, label.fillna(0), guess).astype(np.int64)
    rows = clips[["clip_id", "subject", "split"]]
    return rows.assign(task=task.name, label=label, predicted=codes)


def test_groups_stand_apart_on_the_page():
    clips = study()
    tables = [predicted(clips, right, seed=seed) for seed, right in enumerate((0.2, 0.4, 0.6, 0.8))]
    one = compare(dict(zip("ab", tables[:2], strict=True)), clips, [ORDINAL])
    two = compare(dict(zip("cd", tables[2:], strict=True)), clips, [ORDINAL])
    groups = {"test split": ["a", "b"], "all subjects, in folds": ["c", "d"]}
    text = page(comparisons_html(pd.concat([one, two]), [], groups)).text
    first, second = text.split("all subjects, in folds")
    assert "1\u2002a" in first and "1\u2002c" not in first
    assert "1\u2002c" in second and "2\u2002d" in second and "1\u2002a" not in second


def row(table, metric, split="test", first="a", second="b"):
    chosen = (table[["first", "second", "split", "metric"]] == [first, second, split, metric]).all(
        axis=1
    )
    assert chosen.sum() == 1
    return table[chosen].iloc[0]


def test_differences_are_those_of_scikit_learns_metrics():
    clips = study()
    a, b = predicted(clips, 0.2, seed=1), predicted(clips, 0.6, seed=2)
    table = compare({"a": a, "b": b}, clips, [ORDINAL])
    assert list(table.columns) == COLUMNS
    assert list(table["metric"]) == [*METRICS] * 2
    for split in ("test", "validation"):
        chosen = (clips["split"] == split).to_numpy()
        label = clips.loc[chosen, "engagement"].to_numpy(np.int64)
        values = [measure(label, e.loc[chosen, "predicted"].to_numpy(), ORDINAL) for e in (a, b)]
        for metric in METRICS:
            found = row(table, metric, split)
            assert found["difference"] == pytest.approx(values[1][metric] - values[0][metric])
            assert found["ci_low"] <= found["difference"] <= found["ci_high"]


def test_intervals_are_those_of_resampled_clips():
    clips = study(subjects=5, each=6, splits=("test",))
    a, b = predicted(clips, 0.2, seed=1), predicted(clips, 0.5, seed=2)
    found = row(compare({"a": a, "b": b}, clips, [ORDINAL], resamples=300, seed=4), "accuracy")
    names = np.unique(clips["subject"])
    times = np.random.default_rng(4).multinomial(5, np.full(5, 0.2), size=300)
    differences = []
    for counts in times:
        rows = np.concatenate(
            [np.flatnonzero(clips["subject"] == name) for name in np.repeat(names, counts)]
        )
        right = [(e["predicted"] == clips["engagement"]).to_numpy(bool)[rows] for e in (a, b)]
        differences.append(right[1].mean() - right[0].mean())
    low, high = np.percentile(differences, [2.5, 97.5])
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high), abs=1e-8)


def test_pairing_shows_what_two_intervals_cannot():
    # Subjects differ widely, and b is right wherever a is, and a little more often.
    rng = np.random.default_rng(0)
    clips = study(subjects=20, each=30, splits=("test",))
    skill = rng.beta(2, 2, 20)[clips["subject"].str[5:].astype(int)]
    luck = rng.random(len(clips))
    label = clips["engagement"].to_numpy(np.int64)
    wrong = (label + 1) % 4
    made = {
        name: predicted(clips, 0).assign(predicted=np.where(luck < skill + more, label, wrong))
        for name, more in (("a", 0.0), ("b", 0.04))
    }
    found = row(compare(made, clips, [ORDINAL]), "accuracy")
    assert found["ci_low"] > 0
    assert found["p"] < 0.01
    assert found["ci_high"] - found["ci_low"] < 0.05  # each alone: about 0.2


def test_equal_experiments_differ_by_nothing():
    clips = study()
    table = compare(dict.fromkeys("ab", predicted(clips, 0.3)), clips, [ORDINAL])
    assert (table[["difference", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert (table["n_differing"] == 0).all()
    tested = table[table["split"] == "test"]
    assert (tested[["p", "p_holm", "p_least", "p_holm_least"]] == 1).all(axis=None)


def test_exchanged_experiments_have_the_opposite_difference():
    clips = study()
    a, b = predicted(clips, 0.2, seed=1), predicted(clips, 0.3, seed=2)
    one = compare({"a": a, "b": b}, clips, [ORDINAL])
    other = compare({"b": b, "a": a}, clips, [ORDINAL])
    assert list(other["first"].unique()) == ["b"]
    np.testing.assert_allclose(one["difference"], -other["difference"])
    np.testing.assert_allclose(one["ci_low"], -other["ci_high"], atol=1e-8)
    np.testing.assert_allclose(one["p"], other["p"])


def test_only_clips_that_both_scored_count():
    clips = study(splits=("test",))
    a, b = predicted(clips, 0.5, seed=1), predicted(clips, 0.5, seed=2)
    a_scored, b_scored = np.arange(len(clips)) >= 20, np.arange(len(clips)) % 8 > 0
    clips.loc[95, "engagement"] = pd.NA  # scored by both, labelled for neither
    a["label"] = b["label"] = clips["engagement"]
    both = a_scored & b_scored
    both[95] = False
    table = compare({"a": a[a_scored], "b": b[b_scored]}, clips, [ORDINAL])
    label = clips.loc[both, "engagement"].to_numpy(np.int64)
    values = [measure(label, e.loc[both, "predicted"].to_numpy(), ORDINAL) for e in (a, b)]
    for metric in METRICS:
        found = row(table, metric)
        assert found["difference"] == pytest.approx(values[1][metric] - values[0][metric])
        assert (found["n_clips"], found["n_labelled"]) == (both.sum(), 95)
        assert found["n_subjects"] == 7  # b scored nothing of subject 0


def test_a_pair_is_the_same_whatever_else_there_is():
    clips = study(splits=("test",))
    made = {name: predicted(clips, 0.3, seed=i) for i, name in enumerate("abc")}
    made["c"] = made["c"][5:]
    together = compare(made, clips, [ORDINAL], resamples=2000)
    alone = compare({name: made[name] for name in "ac"}, clips, [ORDINAL], resamples=2000)
    for metric in METRICS:
        same = ["difference", "ci_low", "ci_high", "p", "n_clips"]
        assert (
            row(together, metric, second="c")[same].to_list()
            == row(alone, metric, second="c")[same].to_list()
        )


def test_nothing_in_common_is_no_difference():
    clips = study(splits=("test",))
    a = predicted(clips, 0.5)
    table = compare({"a": a[:40], "b": a[40:]}, clips, [ORDINAL])
    assert table[["difference", "ci_low", "ci_high", "p", "p_holm"]].isna().all(axis=None)
    assert (table["n_clips"] == 0).all()
    assert "–" in page(comparisons_html(table)).text


def test_one_subject_has_a_difference_without_interval():
    clips = study(subjects=1, splits=("test",))
    made = {"a": predicted(clips, 0.1, seed=1), "b": predicted(clips, 0.9, seed=2)}
    found = row(compare(made, clips, [ORDINAL]), "accuracy")
    assert found["difference"] > 0
    assert found[["ci_low", "ci_high", "p", "p_holm"]].isna().all()


def test_kappa_of_one_level_is_undefined():
    clips = study(splits=("test",)).assign(engagement=pd.array([1] * 96, dtype="Int64"))
    made = {"a": predicted(clips, 1), "b": predicted(clips, 0.5)}
    table = compare(made, clips, [ORDINAL])
    assert np.isnan(row(table, "kappa")["difference"])
    assert np.isnan(row(table, "kappa")["p_holm"])
    assert row(table, "accuracy")["difference"] < 0


def test_nominal_tasks_have_no_distances():
    clips = study(NOMINAL)
    made = {name: predicted(clips, 0.5, NOMINAL, i) for i, name in enumerate("ab")}
    assert set(compare(made, clips, [NOMINAL])["metric"]) == {*METRICS[:3]}


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_experiments_have_nothing_to_compare(tmp_path, count):
    clips = study()
    table = compare(dict.fromkeys("ab"[:count], predicted(clips, 0.5)), clips, [ORDINAL])
    assert table.empty
    write_results(tmp_path / "comparisons.csv", table)
    assert (tmp_path / "comparisons.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert "there is nothing to compare" in page(comparisons_html(table)).text


def test_predictions_of_other_clips_are_refused():
    clips = study()
    made = {"a": predicted(clips, 0.5), "b": predicted(study(seed=9), 0.5)}
    with pytest.raises(UserError, match="another label"):
        compare(made, clips, [ORDINAL])


def test_six_subjects_show_nothing_among_many_pairs():
    # One of eleven is always right. For six subjects an exact test can't go below 2 / 2^6.
    clips = study(splits=("test",), subjects=6, each=8)
    made = {f"e{i}": predicted(clips, 0.1, seed=i) for i in range(10)}
    made["right"] = predicted(clips, 1)
    table = compare(made, clips, [ORDINAL], resamples=100)
    assert len(table) == 55 * len(METRICS)
    beaten = table[(table["second"] == "right") & (table["metric"] == "accuracy")]
    assert (beaten["p"] == 2 / 2**6).all()
    assert (table["p"] >= 2 / 2**6).all() and (table["p_least"] == 2 / 2**6).all()
    assert (table["p_holm"] == 1).all() and (table["p_holm_least"] == 1).all()
    text = page(comparisons_html(table)).text
    assert "differ on 6 subjects, p can't be below 0.0312" in text
    assert "correction for 55 pairs not below 1" in text
    assert "So no ● can appear here: compare fewer experiments, or test on more" in text
    tables = text.split("can appear here")[1]
    assert "○" in tables and "●" not in tables


def test_enough_subjects_survive_many_pairs():
    clips = study(splits=("test",), subjects=16, each=8)
    made = {f"e{i}": predicted(clips, 0.1, seed=i) for i in range(10)}
    made["right"] = predicted(clips, 1)
    table = compare(made, clips, [ORDINAL], resamples=100)
    beaten = table[(table["second"] == "right") & (table["metric"] == "accuracy")]
    assert (beaten["p_holm"] <= 0.05).all()
    text = page(comparisons_html(table)).text
    assert "correction for 55 pairs not below 0.00168" in text
    assert "can appear" not in text


def test_subjects_on_whom_two_do_not_differ_add_nothing():
    clips = study(splits=("test",), subjects=12)
    a, b = predicted(clips, 0.1, seed=1), predicted(clips, 1)
    same = clips["subject"].str[5:].astype(int) >= 5
    b = b.assign(predicted=b["predicted"].where(~same, a["predicted"]))
    found = row(compare({"a": a, "b": b}, clips, [ORDINAL]), "accuracy")
    assert (found["n_subjects"], found["n_differing"]) == (12, 5)
    assert found["p"] == found["p_least"] == 2 / 2**5
    assert (
        "So no mark can appear here"
        in page(comparisons_html(compare({"a": a, "b": b}, clips, [ORDINAL]))).text
    )


def test_the_validation_split_has_no_p():
    clips = study(subjects=12)
    made = {"a": predicted(clips, 0.1, seed=1), "b": predicted(clips, 1)}
    table = compare(made, clips, [ORDINAL]).set_index("split")
    numbers = ["p", "p_holm", "p_least", "p_holm_least"]
    assert table.loc["validation", numbers].isna().all(axis=None)
    assert table.loc["validation", ["difference", "ci_low", "ci_high"]].notna().all(axis=None)
    assert table.loc["test", numbers].notna().all(axis=None)


def test_levels_are_those_of_the_common_clips():
    # Level 3 is of one subject: resamples without it define neither average, and that is said.
    clips = study(splits=("test",), subjects=10, each=10)
    label = clips["engagement"].where(clips["engagement"] < 3, 2)
    label[(clips["subject"] == "test-0") & (clips.index < 30)] = 3
    clips = clips.assign(engagement=label)
    made = {name: predicted(clips, 0.4, seed=i) for i, name in enumerate("ab")}
    table = compare(made, clips, [ORDINAL])
    for metric in ("macro_f1", "balanced_accuracy"):
        # A draw has the subject with probability 1 - 0.9^10 = 0.65.
        assert "of 1,000 resamples" in row(table, metric)["ci_warning"]
        assert row(table, metric)["ci_low"] < row(table, metric)["difference"]
    assert row(table, "accuracy")["ci_warning"] == ""
    assert "⚠ interval from 6" in page(comparisons_html(table)).text
    # Where neither scored that subject, the level is none of the sample's.
    rest = {name: own[own["subject"] != "test-0"] for name, own in made.items()}
    assert (compare(rest, clips, [ORDINAL])["ci_warning"] == "").all()


def test_many_pairs_take_seconds():
    """41 experiments took three minutes when the draws grew with the number of pairs."""
    clips = study(splits=("test",), subjects=6, each=5)
    made = {f"e{i}": predicted(clips, i / 60, seed=i) for i in range(41)}
    start = time.process_time()
    table = compare(made, clips, [ORDINAL])
    assert time.process_time() - start < 15
    assert len(table) == 820 * len(METRICS)
    assert table["p"].min() >= 2 / 2**6


def test_equal_inputs_are_equal_bytes(tmp_path):
    clips = study()
    made = {name: predicted(clips, 0.3, seed=i) for i, name in enumerate("abc")}
    for file in ("one.csv", "other.csv"):
        write_results(tmp_path / file, compare(made, clips, [ORDINAL]))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_p_is_below_a_level_about_as_often_as_it_says():
    # 12 subjects whose differences have mean 0: p < 0.05 in about 5 of 100 studies.
    task = Task("t", "nominal", ("no", "yes"))
    clips = study(task, subjects=12, each=10, splits=("test",))
    below = 0
    for trial in range(100):
        made = {name: predicted(clips, 0, task, seed=(trial, i)) for i, name in enumerate("ab")}
        table = compare(made, clips, [task], resamples=200, seed=trial)
        below += row(table, "accuracy")["p"] < 0.05
    assert 1 <= below <= 13


def test_holm_worked_by_hand():
    # 0.01 x 4, then 0.02 x 3 and 0.03 x 2 (both 0.06), then 0.5.
    found = holm(np.array([0.03, 0.01, 0.5, 0.02]))
    np.testing.assert_allclose(found, [0.06, 0.04, 0.5, 0.06])
    np.testing.assert_allclose(holm(np.array([0.04, np.nan, 0.9])), [0.08, np.nan, 0.9])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1, 1])
    assert holm(np.array([])).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_what_its_steps_reject(p, level):
    # Holm 1979: go up the ordered p-values while the i-th is at most level / (m - i).
    rejected = set()
    for step, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] * (len(p) - step) > level:
            break
        rejected.add(place)
    assert set(np.flatnonzero(holm(np.array(p)) <= level)) == rejected


def test_every_family_is_corrected_by_itself():
    clips = study()
    made = {name: predicted(clips, 0.2 * i, seed=i) for i, name in enumerate("abc")}
    table = compare(made, clips, [ORDINAL])
    for _, family in table[table["split"] == "test"].groupby("metric"):
        assert len(family) == 3
        np.testing.assert_allclose(family["p_holm"], holm(family["p"].to_numpy()), atol=1e-8)


def test_the_page_has_each_pair_both_ways():
    clips = study(subjects=20)
    made = {"weak": predicted(clips, 0, seed=1), "strong": predicted(clips, 0.9, seed=2)}
    table = compare(made, clips, [ORDINAL])
    found = row(table, "macro_f1", first="weak", second="strong")
    text = page(comparisons_html(table)).text
    assert f"{found['difference']:+.3f} ●" in text
    assert f"{-found['difference']:+.3f} ●" in text
    assert f"[{found['ci_low']:+.3f}, {found['ci_high']:+.3f}]" in text
    assert f"[{-found['ci_high']:+.3f}, {-found['ci_low']:+.3f}]" in text
    assert "Both scored 240 of 240 labelled clips, of 20 subjects." in text
    assert "Article 5(1)(f)" in text
    assert RANDOM not in text


def test_marks_say_what_was_shown():
    clips = study(splits=("test",))
    made = {name: predicted(clips, 0.3, seed=i) for i, name in enumerate("ab")}
    table = compare(made, clips, [ORDINAL])
    marks = {}
    for name, (p, corrected) in {
        "neither": (0.3, 0.9),
        "one": (0.04, 0.06),
        "all": (0.01, 0.04),
        "none": (np.nan, np.nan),
    }.items():
        # What the interval says makes no mark.
        numbers = {"difference": 0.1, "ci_low": 0.01, "ci_high": 0.2, "p": p, "p_holm": corrected}
        tables = page(comparisons_html(table.assign(**numbers))).text.split("<h2>")[-1]
        tables = tables.split("1\u2002a")[1]
        marks[name] = {mark for mark in "○●" if mark in tables}
    assert marks == {"neither": set(), "one": {"○"}, "all": {"●"}, "none": set()}


def test_hostile_names_are_escaped_and_random_weights_said():
    task = Task(HOSTILE, "ordinal", LEVELS)
    clips = study(task)
    made = {HOSTILE: predicted(clips, 0.2, task), "b": predicted(clips, 0.4, task)}
    text = page(comparisons_html(compare(made, clips, [task]), [HOSTILE])).text
    assert text.count(HOSTILE) == 2
    assert RANDOM in text
    assert text.count("random weights") == 1 + 1  # the note, and beside the name


def test_without_a_test_split_the_page_says_so():
    clips = study(splits=("validation",))
    made = {name: predicted(clips, 0.3, seed=i) for i, name in enumerate("ab")}
    table = compare(made, clips, [ORDINAL])
    assert set(table["split"]) == {"validation"}
    assert "No clip in the test split" in page(comparisons_html(table)).text
