import csv
import json

import numpy as np
import pandas as pd
import pytest

from affectflow.dataset.clips import read_clips
from affectflow.dataset.index import build_index, write_index
from affectflow.dataset.tasks import DAISEE_TASKS, Task
from affectflow.errors import UserError
from affectflow.evaluation.metrics import metric_names
from affectflow.evaluation.report import (
    evaluate,
    read_metrics,
    read_predictions,
    write_metrics,
)
from affectflow.evaluation.tables import (
    COLUMNS,
    estimates,
    read_results,
    results_table,
    write_results,
)
from affectflow.figures.table import results_html

SPLITS = ("train", "validation", "test")
# Dissertation, Table 4.1: clips per level, boredom, engagement, confusion, frustration. Frustration
# level 3 of the test split is printed as 2; the rows add up with 23.
TABLE_4_1 = {
    "train": [
        [2433, 1696, 1073, 156],
        [34, 213, 2617, 2494],
        [3616, 1245, 431, 66],
        [4183, 941, 191, 43],
    ],
    "validation": [
        [446, 376, 475, 132],
        [23, 143, 813, 450],
        [942, 322, 153, 12],
        [1058, 271, 81, 19],
    ],
    "test": [
        [823, 584, 338, 39],
        [4, 84, 882, 814],
        [1200, 427, 136, 21],
        [1388, 316, 57, 23],
    ],
}
TASK = Task("engagement", "ordinal", ("low", "middle", "high"))


def study(rows, task=TASK):
    """Return predictions and clips of (split, subject, label, predicted); None: there is none."""
    clips = pd.DataFrame(
        {
            "clip_id": [f"clip{i}" for i in range(len(rows))],
            "subject": [row[1] for row in rows],
            "split": [row[0] for row in rows],
            task.name: pd.array([row[2] for row in rows], dtype="Int64"),
        }
    )
    predictions = clips.rename(columns={task.name: "label"}).assign(task=task.name)
    predictions["predicted"] = pd.array([row[3] for row in rows], dtype="Int64")
    predictions = predictions.dropna(subset="predicted").astype({"predicted": "int64"})
    return predictions.reset_index(drop=True), clips


@pytest.fixture(scope="module")
def daisee_index(tmp_path_factory):
    """The index of DAiSEE's label files, as distributed, with Table 4.1's counts."""
    root = tmp_path_factory.mktemp("labels")
    (root / "Labels").mkdir()
    # DAiSEE's labelled subjects: 69, 19 and 21.
    places, subjects = (1, 2, 5), (69, 19, 21)
    for place, count, (split, states) in zip(places, subjects, TABLE_4_1.items(), strict=True):
        lines = ["ClipID,Boredom,Engagement,Confusion,Frustration "]
        columns = [np.repeat(range(4), counts) for counts in states]
        for n, levels in enumerate(zip(*columns, strict=True)):
            clip = f"{place}{n % count:05d}{n:04d}"
            lines.append(f"{clip}.avi,{','.join(map(str, levels))}")
        path = root / "Labels" / f"{split.capitalize()}Labels.csv"
        path.write_text("\n".join(lines) + "\n")
    # Labels count with or without a video, but a data set without any is refused.
    video = root / "DataSet" / "Test" / clip[:6] / clip / f"{clip}.avi"
    video.parent.mkdir(parents=True)
    video.touch()
    folder = root / "index"
    write_index(build_index({"layout": "daisee", "root": str(root)}, 1), folder)
    return folder


@pytest.fixture(scope="module")
def always_majority(daisee_index):
    """What is said of a model that gives each clip training's majority level and its shares."""
    clips = read_clips(daisee_index / "clips.csv", DAISEE_TASKS)
    predictions = clips.melt(
        ["clip_id", "subject", "split"], [task.name for task in DAISEE_TASKS], "task", "label"
    ).assign(predicted=lambda table: (table["task"] == "engagement") * 2)
    train = dict(zip((task.name for task in DAISEE_TASKS), TABLE_4_1["train"], strict=True))
    for level in range(4):
        share = {state: counts[level] / sum(counts) for state, counts in train.items()}
        predictions[f"p_{level}"] = predictions["task"].map(share)
    path = daisee_index / "predictions.csv"
    predictions.to_csv(path, index=False, float_format="%.6f")
    return evaluate(read_predictions(path), clips, DAISEE_TASKS, resamples=50)


def test_levels_csv_is_table_4_1(daisee_index):
    with (daisee_index / "levels.csv").open(newline="") as file:
        found = list(csv.reader(file))
    expected = [["split", "state", "level_0", "level_1", "level_2", "level_3", "total"]]
    for split, states in TABLE_4_1.items():
        for task, counts in zip(DAISEE_TASKS, states, strict=True):
            expected.append([split, task.name, *map(str, counts), str(sum(counts))])
    assert found == expected
    assert [int(row[-1]) for row in found[1::4]] == [5358, 1429, 1784]


@pytest.mark.parametrize(
    ("state", "level", "percent", "macro_f1", "random_percent"),
    # From Table 4.1: 823, 882, 1200 and 1388 of 1784 clips; macro-F1 is 2p / (1 + p) / 4. Drawing
    # levels is right with the sum over levels of training share times test share.
    [
        ("boredom", 0, 46.13, 0.158, 35.17),
        ("engagement", 2, 49.44, 0.165, 45.58),
        ("confusion", 0, 67.26, 0.201, 51.59),
        ("frustration", 0, 77.80, 0.219, 63.98),
    ],
)
def test_floors_of_daisee(always_majority, state, level, percent, macro_f1, random_percent):
    scores = always_majority["splits"]["test"][state]
    assert scores["majority_level"] == level
    assert scores["majority_from"] == "training labels"
    assert scores["predicts_one_level"] is True
    assert scores["n_scored"] == scores["n_labelled"] == 1784
    assert scores["n_subjects"] == 21
    metrics = {name: entry["value"] for name, entry in scores["metrics"].items()}
    assert f"{100 * metrics['accuracy']:.2f}" == f"{percent:.2f}"
    assert metrics["war"] == metrics["accuracy"]
    assert round(metrics["floor_macro_f1"], 3) == macro_f1
    assert metrics["floor_balanced_accuracy"] == 0.25
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "mae"):
        assert metrics[name] == metrics[f"floor_{name}"]
    for name in ("mse", "ece", "brier"):  # predictions.csv has 6 decimals
        assert metrics[name] == pytest.approx(metrics[f"floor_{name}"], abs=1e-5)
    assert metrics["kappa"] == 0
    assert scores["metrics"]["kappa"]["ci_low"] == scores["metrics"]["kappa"]["ci_high"] == 0
    assert 100 * metrics["random_accuracy"] == pytest.approx(random_percent, abs=0.1)
    assert metrics["random_balanced_accuracy"] == pytest.approx(0.25, abs=0.002)
    assert metrics["random_kappa"] == pytest.approx(0, abs=0.002)
    assert metrics["random_macro_f1"] == pytest.approx(0.25, abs=0.001)


def test_a_collapsed_model_is_flagged_and_above_no_floor(always_majority):
    results = results_table({"constant": always_majority})
    test = results[results["split"] == "test"]
    assert test.loc[test["metric"] == "collapsed", "value"].tolist() == [1, 1, 1, 1]
    page = results_html(results)
    assert page.count("predicts one level") == 12
    assert "▲</span>" not in page


def test_the_floor_on_validation_is_the_majority_of_training(always_majority):
    # Boredom: level 0 in training (446 of 1429 in validation), though level 2 (475) leads there.
    scores = always_majority["splits"]["validation"]["boredom"]
    assert scores["majority_level"] == 0
    assert scores["metrics"]["floor_accuracy"]["value"] == pytest.approx(446 / 1429, abs=1e-8)


def test_table_4_1_is_the_published_one(shared):
    with (shared / "reference" / "table_4_1_levels.csv").open() as file:
        for row in csv.DictReader(file):
            state = [task.name for task in DAISEE_TASKS].index(row["state"])
            printed = [int(row[f"level_{level}"]) for level in range(4)]
            assert TABLE_4_1[row["split"]][state] == printed


def test_says_how_many_labelled_clips_were_scored():
    predictions, clips = study(
        [
            ("test", "a", 0, 0),
            ("test", "b", 1, 1),
            ("test", "b", 2, None),  # labelled, not scored
            ("test", "b", None, 1),  # scored, not labelled
            ("train", "c", 1, 0),
            ("train", "c", 1, 0),
        ]
    )
    scores = evaluate(predictions, clips, [TASK], resamples=20)["splits"]["test"]["engagement"]
    assert (scores["n_scored"], scores["n_labelled"], scores["n_subjects"]) == (2, 3, 2)
    assert scores["confusion"] == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert scores["metrics"]["accuracy"]["value"] == 1
    assert scores["predicts_one_level"] is False


def test_says_of_whom_clips_were_scored():
    rows = [("test", "b", 1, 1), ("test", "b", 2, None), ("test", "a", 0, 0)]
    rows += [("test", "gone", 1, None), ("test", "unlabelled", None, 1), ("train", "c", 1, 0)]
    found = evaluate(*study(rows), [TASK], resamples=20)
    scores = found["splits"]["test"]["engagement"]
    assert scores["subjects"] == {
        "n_labelled": {"a": 1, "b": 2, "gone": 1},
        "n_scored": {"a": 1, "b": 1, "gone": 0},
    }
    assert sum(scores["subjects"]["n_scored"].values()) == scores["n_scored"]
    assert sum(scores["subjects"]["n_labelled"].values()) == scores["n_labelled"]
    table = results_table({"x": found})
    counts = estimates(table[table["split"] == "test"])
    assert (counts["subjects_scored"].value, counts["subjects_labelled"].value) == (2, 3)
    assert "2 of 4<br><span class=floor>2 of 3 subjects</span>" in results_html(table)
    assert "1 of 1<br><span class=floor>1 of 1 subject</span>" in results_html(table)


def with_probabilities(predictions, seed=0):
    p = np.random.default_rng(seed).dirichlet(np.ones(3), len(predictions)).round(6)
    return predictions.assign(**{f"p_{level}": p[:, level] for level in range(3)})


def test_intervals_are_those_of_rescored_clips():
    # Literally: draw subjects, put the clips of each draw into a table, and score that table.
    rng = np.random.default_rng(1)
    # Level 2 is of one subject alone.
    rows = [
        ("test", f"s{i % 6}", *map(int, rng.integers(0, 2 + (i % 6 == 0), 2))) for i in range(70)
    ]
    predictions, clips = study(rows)
    predictions = with_probabilities(predictions)
    found = evaluate(predictions, clips, [TASK], 25, seed=4)["splits"]["test"]["engagement"]
    names = sorted(set(predictions["subject"]))
    times = np.random.default_rng(4).multinomial(6, [1 / 6] * 6, size=25)
    values, lacking = [], 0
    for counts in times:
        drawn = pd.concat(
            [predictions[predictions["subject"] == name] for name in np.repeat(names, counts)]
        )
        # A clip that is drawn twice counts twice.
        drawn = drawn.assign(clip_id=[f"d{i}" for i in range(len(drawn))])
        table = drawn.rename(columns={"label": "engagement"})
        again = evaluate(drawn, table, [TASK], 1)["splits"]["test"]["engagement"]["metrics"]
        # That table does not know of a level that it lacks, and would average over the others.
        absent = {0, 1, 2} - {int(level) for level in drawn["label"]}
        lost = {f"{name}_level_{k}" for name in ("precision", "recall", "f1") for k in absent}
        lost |= {"macro_f1", "balanced_accuracy"} if absent else set()
        lacking += bool(absent)
        values.append(
            {name: None if name in lost else entry["value"] for name, entry in again.items()}
        )
    assert 0 < lacking < 25
    # Not the floors: without training labels each table would have a majority of its own.
    for name in metric_names(TASK):
        own = np.array([value[name] for value in values], dtype=float)
        low, high = np.nanpercentile(own, [2.5, 97.5])
        assert found["metrics"][name]["ci_low"] == pytest.approx(low, abs=2e-8), name
        assert found["metrics"][name]["ci_high"] == pytest.approx(high, abs=2e-8), name


def test_without_probabilities_their_scores_say_why():
    predictions, clips = study([("test", "a", 0, 0), ("test", "b", 1, 1)])
    metrics = evaluate(predictions, clips, [TASK], 20)["splits"]["test"]["engagement"]["metrics"]
    for name in ("mse", "ece", "brier"):
        assert metrics[name]["value"] is None
        assert metrics[name]["reason"] == "the predictions have no probabilities"
        assert metrics[f"floor_{name}"]["value"] is not None


def test_floors_of_probabilities_are_the_training_shares():
    rows = [("train", "c", level, 0) for level in (0, 0, 0, 2)]
    predictions, clips = study([*rows, ("test", "a", 0, 0), ("test", "b", 1, 2)])
    metrics = evaluate(predictions, clips, [TASK], 20)["splits"]["test"]["engagement"]["metrics"]
    # Shares 0.75, 0, 0.25; expected level 0.5; always level 0, which is right for one of two.
    assert metrics["floor_mse"]["value"] == pytest.approx((0.5**2 + 0.5**2) / 2)
    assert metrics["floor_ece"]["value"] == pytest.approx(0.75 - 0.5)
    first, second = 2 * 0.25**2, 0.75**2 + 1 + 0.25**2
    assert metrics["floor_brier"]["value"] == pytest.approx((first + second) / 2)


def test_a_random_floor_has_no_interval_and_says_so():
    predictions, clips = study([("test", "a", 0, 0), ("test", "b", 1, 1)])
    found = evaluate(predictions, clips, [TASK], 20, seed=3)
    assert found["random_floor"] == {"draws": 10_000, "seed": 3}
    entry = found["splits"]["test"]["engagement"]["metrics"]["random_accuracy"]
    assert entry["value"] == pytest.approx(0.5, abs=0.02)
    assert (entry["ci_low"], entry["ci_high"]) == (None, None)
    assert entry["reason"] == "no interval: a mean over draws"


def test_no_resamples_are_no_intervals():
    predictions, clips = study([("test", "a", 0, 0), ("test", "b", 1, 2)])
    metrics = evaluate(predictions, clips, [TASK], 0)["splits"]["test"]["engagement"]["metrics"]
    assert metrics["accuracy"]["value"] == 0.5
    assert metrics["accuracy"]["reason"] == "no interval: 0 resamples"


@pytest.mark.parametrize("wrong", [(0.5, 0.4, 0.2), (1.1, -0.1, 0.0), (0.5, 0.5, np.nan)])
def test_probabilities_of_other_levels_are_refused(wrong):
    predictions, clips = study([("test", "a", 0, 0), ("test", "b", 1, 1)])
    predictions = with_probabilities(predictions)
    predictions.loc[1, ["p_0", "p_1", "p_2"]] = wrong
    with pytest.raises(UserError, match="probabilities of clip clip1 for engagement are no 3"):
        evaluate(predictions, clips, [TASK])
    with pytest.raises(UserError, match="probabilities of clip clip0 for engagement are no 3"):
        evaluate(with_probabilities(predictions).drop(columns="p_2"), clips, [TASK])


def test_without_training_labels_the_scored_labels_decide_the_floor():
    predictions, clips = study([("test", "a", 2, 0), ("test", "b", 2, 1), ("test", "b", 0, 1)])
    scores = evaluate(predictions, clips, [TASK], resamples=20)["splits"]["test"]["engagement"]
    assert (scores["majority_level"], scores["majority_from"]) == (2, "scored labels")
    assert scores["metrics"]["floor_accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-8)


def test_one_subject_has_no_interval_and_says_so():
    predictions, clips = study([("test", "a", 2, 0), ("test", "a", 1, 1)])
    entry = evaluate(predictions, clips, [TASK])["splits"]["test"]["engagement"]["metrics"]["mae"]
    assert entry == {
        "value": 1.0,
        "ci_low": None,
        "ci_high": None,
        "reason": "no interval: 1 subject",
    }


def test_nothing_scored_is_null_with_a_reason():
    predictions, clips = study([("test", "a", 2, None), ("validation", "b", 1, 1)])
    scores = evaluate(predictions, clips, [TASK])["splits"]["test"]["engagement"]
    assert (scores["n_scored"], scores["n_labelled"], scores["n_subjects"]) == (0, 1, 0)
    assert scores["predicts_one_level"] is None
    assert {entry["value"] for entry in scores["metrics"].values()} == {None}
    assert scores["metrics"]["kappa"]["reason"] == "no labelled clip was scored"


def test_undefined_kappa_is_null_with_a_reason():
    predictions, clips = study([("test", "a", 1, 1), ("test", "b", 1, 1)])
    metrics = evaluate(predictions, clips, [TASK], 20)["splits"]["test"]["engagement"]["metrics"]
    assert metrics["kappa"]["value"] is None
    assert "one and the same level" in metrics["kappa"]["reason"]
    assert metrics["accuracy"]["value"] == 1


def test_intervals_hang_on_the_seed_and_on_nothing_else():
    rng = np.random.default_rng(0)
    rows = [("test", f"s{i % 7}", *map(int, rng.integers(0, 3, 2))) for i in range(90)]
    predictions, clips = study(rows)
    predictions = with_probabilities(predictions)
    first = evaluate(predictions, clips, [TASK], 200, seed=1)
    shuffled = predictions.sample(frac=1, random_state=0)
    assert evaluate(shuffled, clips[::-1], [TASK], 200, seed=1) == first
    assert evaluate(predictions, clips, [TASK], 200, seed=2) != first


def test_a_subject_in_two_splits_is_refused():
    predictions, clips = study([("train", "a", 0, 0), ("test", "a", 1, 1)])
    with pytest.raises(UserError, match="subject a is in more than one split"):
        evaluate(predictions, clips, [TASK])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("task", "joy", "unknown task joy"),
        ("clip_id", "clip1", "clip clip1 is scored twice"),
        ("predicted", 3, "predicted of clip clip0 is no level"),
        ("label", -1, "label of clip clip0 is no level"),
        ("label", 2, "clip clip0 has another label"),
        ("clip_id", "elsewhere", "clip elsewhere has another label"),
        ("subject", "c", "clip clip0 has another label, split or subject"),
    ],
)
def test_predictions_of_another_clip_table_are_refused(column, value, message):
    predictions, clips = study([("test", "a", 0, 0), ("test", "b", 1, 1)])
    predictions.loc[0, column] = value
    with pytest.raises(UserError, match=message):
        evaluate(predictions, clips, [TASK])


def test_files_are_equal_bytes_and_read_back(tmp_path, always_majority):
    for name in ("one", "two"):
        write_metrics(tmp_path / f"{name}.json", always_majority)
        table = results_table({"NA": always_majority, "b": always_majority})
        write_results(tmp_path / f"{name}.csv", table)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert read_metrics(tmp_path / "one.json") == always_majority
    pd.testing.assert_frame_equal(read_results(tmp_path / "one.csv"), table)
    assert "NaN" not in (tmp_path / "one.json").read_text()
    assert json.loads((tmp_path / "one.json").read_text())["intervals"]["resampled"] == "subjects"


def test_results_table_is_tidy(always_majority):
    table = results_table({"lstm": always_majority})
    assert list(table.columns) == COLUMNS
    assert list(dict.fromkeys(table["split"])) == list(SPLITS)
    assert not table.duplicated(["experiment", "split", "state", "metric"]).any()
    rows = table[(table["split"] == "test") & (table["state"] == "boredom")]
    found = estimates(rows)
    assert found["collapsed"].value == 1
    assert found["f1_level_0"].value == pytest.approx(2 * 823 / (1784 + 823), abs=1e-8)
    assert found["f1_level_3"].value == 0
    assert np.isnan(found["precision_level_3"].value)
    assert found["accuracy"].low <= found["accuracy"].value <= found["accuracy"].high
    assert results_table({}).empty


def test_predictions_of_a_subject_called_na_are_read(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(
        "clip_id,subject,split,task,label,predicted,p_0,p_1\n0012,NA,test,engagement,,1,0.25,0.75\n"
    )
    row = read_predictions(path).iloc[0]
    assert (row["clip_id"], row["subject"], row["p_1"]) == ("0012", "NA", 0.75)
    assert pd.isna(row["label"])
