import csv
import json

import numpy as np
import pandas as pd
import pytest

from affectflow.dataset.tasks import DAISEE_TASKS, Task
from affectflow.errors import UserError
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
def always_majority():
    """DAiSEE's labels, and a model that always gives the majority level of training."""
    clips = pd.concat(
        pd.DataFrame(
            {
                "clip_id": [f"{split}{i}" for i in range(sum(levels[0]))],
                "subject": [f"{split}-{i % 20}" for i in range(sum(levels[0]))],
                "split": split,
            }
            | {
                task.name: pd.array(np.repeat(range(4), counts), dtype="Int64")
                for task, counts in zip(DAISEE_TASKS, levels, strict=True)
            }
        )
        for split, levels in TABLE_4_1.items()
    )
    predictions = clips.melt(
        ["clip_id", "subject", "split"], var_name="task", value_name="label"
    ).assign(predicted=lambda table: (table["task"] == "engagement") * 2)
    return evaluate(predictions, clips, DAISEE_TASKS, resamples=50)


@pytest.mark.parametrize(
    ("state", "level", "percent", "macro_f1"),
    # From Table 4.1: 823, 882, 1200 and 1388 of 1784 clips; macro-F1 is 2p / (1 + p) / 4.
    [
        ("boredom", 0, 46.13, 0.158),
        ("engagement", 2, 49.44, 0.165),
        ("confusion", 0, 67.26, 0.201),
        ("frustration", 0, 77.80, 0.219),
    ],
)
def test_floors_of_daisee(always_majority, state, level, percent, macro_f1):
    scores = always_majority["splits"]["test"][state]
    assert scores["majority_level"] == level
    assert scores["majority_from"] == "training labels"
    assert scores["predicts_one_level"] is True
    assert scores["n_scored"] == scores["n_labelled"] == 1784
    metrics = {name: entry["value"] for name, entry in scores["metrics"].items()}
    assert round(100 * metrics["floor_accuracy"], 2) == percent
    assert round(metrics["floor_macro_f1"], 3) == macro_f1
    assert metrics["floor_balanced_accuracy"] == 0.25
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "mae"):
        assert metrics[name] == metrics[f"floor_{name}"]
    assert metrics["kappa"] == 0
    assert scores["metrics"]["kappa"]["ci_low"] == scores["metrics"]["kappa"]["ci_high"] == 0


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
