"""A sweep: its members on the validation split, the choice, and the page."""

from __future__ import annotations

import math
from pathlib import Path

import pandas
import pytest
from test_figures_table import HOSTILE, page

from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.evaluation.choose import choose, read_choice, validation_results, write_choice
from affectflow.figures.sweep import sweep_html

TASK = Task("engagement", "ordinal", ("0", "1", "2"))
LABELS = {"train": [0, 0, 1, 2], "validation": [0, 1, 2, 1], "test": [0, 1, 2, 2]}


def clips() -> pandas.DataFrame:
    rows = [
        (f"{split}{i}", f"{split}-{i // 2}", split, level)
        for split, levels in LABELS.items()
        for i, level in enumerate(levels)
    ]
    table = pandas.DataFrame(rows, columns=["clip_id", "subject", "split", "engagement"])
    return table.astype({"engagement": "Int64"})


def predicted(validation: list[int], test: list[int]) -> pandas.DataFrame:
    table = clips().rename(columns={"engagement": "label"}).assign(task="engagement")
    return table.assign(predicted=[*LABELS["train"], *validation, *test])


RIGHT, HALF, WRONG = [0, 1, 2, 1], [0, 1, 1, 0], [2, 2, 0, 0]
# The first is perfect on the test split, and must not be chosen for it.
MEMBERS = {
    "a-x_1": predicted(HALF, LABELS["test"]),
    "a-x_2": predicted(RIGHT, WRONG),
    "a-x_3": predicted(WRONG, LABELS["test"]),
}
ONE_EACH = {member: [member] for member in MEMBERS}


def test_the_validation_split_alone_decides() -> None:
    results = validation_results(MEMBERS, clips(), [TASK], resamples=20)
    assert set(results["split"]) == {"validation"}
    choice = choose(results, ONE_EACH, "accuracy")
    assert choice == {
        "by": "accuracy",
        "chosen": "a-x_2",
        "values": {"a-x_1": 0.5, "a-x_2": 1.0, "a-x_3": 0.0},
    }
    other = {name: own.copy() for name, own in MEMBERS.items()}
    for own in other.values():
        own.loc[own["split"] == "test", "predicted"] = 0
    pandas.testing.assert_frame_equal(
        results, validation_results(other, clips(), [TASK], resamples=20)
    )


def test_the_mean_over_seeds_decides_and_of_equals_the_first() -> None:
    results = validation_results(MEMBERS, clips(), [TASK], resamples=0)
    runs = {"one": ["a-x_1", "a-x_1"], "two": ["a-x_2", "a-x_3"]}
    assert choose(results, runs, "accuracy")["values"] == {"one": 0.5, "two": 0.5}
    assert choose(results, runs, "accuracy")["chosen"] == "one"


def test_a_task_counts_only_where_every_member_has_the_metric() -> None:
    # Validation labels of the second task are all one level: kappa is undefined for a constant, and
    # 0 for whoever gives another level once.
    rows = [("a", "x", 2 / 3), ("a", "y", math.nan), ("b", "x", 1.0), ("b", "y", 0.0)]
    results = pandas.DataFrame(rows, columns=["experiment", "state", "value"])
    choice = choose(results.assign(metric="kappa"), {"a": ["a"], "b": ["b"]}, "kappa")
    assert choice["chosen"] == "b" and choice["values"] == {"a": pytest.approx(2 / 3), "b": 1.0}


def test_a_metric_that_nobody_has() -> None:
    nominal = Task("engagement", "nominal", ("0", "1", "2"))
    results = validation_results(MEMBERS, clips(), [nominal], resamples=0)
    choice = choose(results, ONE_EACH, "kappa")
    assert choice["chosen"] == "a-x_1" and set(choice["values"].values()) == {None}
    values = {member: {"x": 1} for member in MEMBERS}
    html = sweep_html("s", choice, values, ONE_EACH, results, results.head(0))
    assert "nothing was chosen" in page(html).text


def test_without_a_validation_split() -> None:
    with pytest.raises(UserError, match="chooses on the validation split, and no clip"):
        validation_results(MEMBERS, clips().query("split != 'validation'"), [TASK])


def test_the_choice_is_read_as_it_was_written(tmp_path: Path) -> None:
    choice = choose(validation_results(MEMBERS, clips(), [TASK]), ONE_EACH, "macro_f1")
    write_choice(tmp_path / "choice.json", choice)
    assert read_choice(tmp_path / "choice.json") == choice


def test_the_page_puts_the_best_first_and_escapes() -> None:
    results = validation_results(MEMBERS, clips(), [TASK], resamples=50)
    choice = choose(results, ONE_EACH, "accuracy")
    values = {"a-x_1": {"x": HOSTILE}, "a-x_2": {"x": [8, 4]}, "a-x_3": {"x": None}}
    html = sweep_html(HOSTILE, choice, values, ONE_EACH, results, results.assign(split="test"))
    text = page(html).text
    assert "3 members, chosen by accuracy" in text
    assert text.index("8, 4") < text.index(HOSTILE, text.index("8, 4")) < text.index("none")
    assert text.count("◆") == 2, "the legend's and the chosen one's"


def test_the_page_has_means_and_deviations_over_seeds() -> None:
    results = validation_results(MEMBERS, clips(), [TASK], resamples=0)
    runs = {"one": ["a-x_1", "a-x_2"]}
    choice = choose(results, runs, "accuracy")
    html = sweep_html("s", choice, {"one": {"x": 1}}, runs, results, results.head(0))
    assert f"0.750 ± {0.5 / math.sqrt(2):.3f}" in page(html).text


def test_the_page_says_where_an_interval_is_too_narrow() -> None:
    # Two validation subjects: half of the resamples have one of them alone, and lack a level.
    results = validation_results(MEMBERS, clips(), [TASK], resamples=50)
    choice = choose(results, ONE_EACH, "macro_f1")
    values = {member: {"x": 1} for member in MEMBERS}
    html = sweep_html("s", choice, values, ONE_EACH, results, results.head(0))
    assert page(html).text.count("of 50 resamples") == 3
    assert results["p_floor"].isna().all(), "epochs and members are chosen on this split"
