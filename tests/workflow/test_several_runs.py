"""Experiments that stand for several runs: sweeps and folds, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest
from study import SMALL, Study

RIDGE = {"backbone": "resnet18", "head": "pooled_ridge"}
SWEEP = {**RIDGE, "ridge_alpha": [1, 1000], "statistics": [["mean"], ["mean", "std"]]}
SWEEP |= {"seed": [1, 2], "choose_by": "accuracy"}


def grown(finished: Study, folder: Path, **experiments: Any) -> Study:
    """A copy of the finished study with more experiments."""
    study = finished.copy(folder)
    return study.with_config(experiments={**SMALL["experiments"], **experiments})


def read(study: Study, file: str) -> pandas.DataFrame:
    path = study.folder / "results" / file
    return pandas.read_csv(path, dtype={"clip_id": str, "subject": str})


@pytest.fixture(scope="module")
def swept(finished: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study in which the target `sweep` was run."""
    study = grown(finished, tmp_path_factory.mktemp("swept"), tuned=SWEEP)
    run = study.run("sweep")
    assert run.code == 0, run.out
    assert run.rules == {"train_pooled", "choose", "take_chosen", "evaluate", "draw_sweep", "sweep"}
    return study


def test_a_sweep_scores_the_chosen_member_alone(swept: Study) -> None:
    folder = swept.folder / "results"
    choice = json.loads((folder / "sweeps" / "tuned" / "choice.json").read_text())
    assert len(choice["values"]) == 4
    assert choice["values"][choice["chosen"]] == max(choice["values"].values())
    for seed in (1, 2):
        chosen = f"{choice['chosen']}-seed_{seed}"
        assert swept.predictions(f"tuned-seed_{seed}") == swept.predictions(chosen)
    scored = {path.parent.name for path in folder.glob("experiments/*/metrics.json")}
    assert scored == {"lstm", "other", "tuned-seed_1", "tuned-seed_2"}
    validation = read(swept, "sweeps/tuned/validation.csv")
    assert set(validation["split"]) == {"validation"}
    assert validation["experiment"].nunique() == 8


def test_the_choice_is_the_member_with_most_on_validation(swept: Study) -> None:
    """Counted anew from the predictions."""
    choice = json.loads((swept.folder / "results/sweeps/tuned/choice.json").read_text())
    for member, value in choice["values"].items():
        hits = []
        for seed in (1, 2):
            rows = read(swept, f"experiments/{member}-seed_{seed}/predictions.csv")
            rows = rows[rows["split"] == "validation"].dropna(subset="label")
            right = rows["label"] == rows["predicted"]
            hits.append(right.groupby(rows["task"]).mean().mean())
        assert value == pytest.approx(sum(hits) / 2)


def test_another_value_trains_its_members_alone(swept: Study) -> None:
    wider = {**SWEEP, "ridge_alpha": [1, 1000, 10]}
    study = swept.with_config(experiments={**SMALL["experiments"], "tuned": wider})
    planned = study.run("sweep", "--dry-run")
    trained = {wildcards for rule, wildcards in planned.jobs if rule == "train_pooled"}
    assert len(trained) == 4 and all("ridge_alpha_10-" in name for name in trained)
    assert {"choose", "take_chosen", "evaluate", "draw_sweep"} <= planned.rules


def test_another_metric_chooses_anew_and_trains_nothing(swept: Study) -> None:
    other = {**SWEEP, "choose_by": "kappa"}
    study = swept.with_config(experiments={**SMALL["experiments"], "tuned": other})
    rules = study.run("sweep", "--dry-run").rules
    assert "choose" in rules and "train_pooled" not in rules


@pytest.fixture(scope="module")
def folded(finished: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with two cross-validated experiments, run to its end."""
    study = grown(
        finished,
        tmp_path_factory.mktemp("folded"),
        cv={**RIDGE, "folds": 3},
        weak={**RIDGE, "folds": 3, "ridge_alpha": 1e6},
    )
    run = study.run()
    assert run.code == 0, run.out
    return study


def test_every_subject_is_tested_once_by_a_model_that_never_saw_it(folded: Study) -> None:
    clips = read(folded, "dataset/clips.csv")
    gathered = read(folded, "experiments/cv/predictions.csv")
    lstm = read(folded, "experiments/lstm/predictions.csv")
    assert set(gathered["split"]) == {"test"}
    keys = ["clip_id", "task"]
    assert not gathered.duplicated(keys).any()
    assert set(map(tuple, gathered[keys].values)) == set(map(tuple, lstm[keys].values))
    tested = []
    for fold in (1, 2, 3):
        own = read(folded, f"dataset/folds/3-seed_1/{fold}.csv")
        assert own["clip_id"].tolist() == clips["clip_id"].tolist()
        sides = own.groupby("split")["subject"].unique()
        assert not set(sides["test"]) & {*sides["train"], *sides["validation"]}
        tested += list(sides["test"])
        run = read(folded, f"experiments/cv-fold_{fold}/predictions.csv").set_index(keys)
        mine = gathered[gathered["subject"].isin(sides["test"])].set_index(keys)
        assert (run.loc[mine.index, "predicted"] == mine["predicted"]).all()
    assert sorted(tested) == sorted(clips["subject"].unique())


def test_folds_are_reported_as_one_and_compared_with_each_other(folded: Study) -> None:
    results = read(folded, "tables/results.csv")
    assert set(results["experiment"]) == {"lstm", "other", "cv", "weak"}
    counts = results[results["experiment"] == "cv"].groupby("state")["n_labelled"].first()
    labelled = read(folded, "dataset/clips.csv")[list(counts.index)].notna().sum()
    assert counts.to_dict() == labelled.to_dict()
    spread = read(folded, "tables/spread.csv")
    assert set(spread["over"]) == {"folds"} and spread["runs"].max() == 3
    pairs = read(folded, "tables/comparisons.csv")[["first", "second"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [["lstm", "other"], ["cv", "weak"]]


def test_subjects_that_look_like_one_are_looked_for_in_all_splits(folded: Study) -> None:
    leaks = read(folded, "dataset/leaks/folds/resnet18.csv")
    assert (leaks["subject"] != leaks["nearest_subject"]).all()
    within = leaks["split"] == leaks["nearest_split"]
    assert within.all(), "in the table of all folds every clip is tested"


def test_another_seed_deals_and_trains_anew(folded: Study) -> None:
    experiments = {**SMALL["experiments"], "cv": {**RIDGE, "folds": 3, "seed": 2}}
    jobs = folded.with_config(experiments=experiments).plan().jobs
    assert {wildcards for rule, wildcards in jobs if rule == "train_pooled"} == {
        f"experiment=cv-fold_{fold}" for fold in (1, 2, 3)
    }
    assert ("deal_folds", "folds=3, seed=2, fold=1") in jobs


def test_another_number_of_folds_deals_and_trains_anew(folded: Study) -> None:
    experiments = {**SMALL["experiments"], "cv": {**RIDGE, "folds": 4}}
    planned = folded.with_config(experiments=experiments).plan()
    trained = {wildcards for rule, wildcards in planned.jobs if rule == "train_pooled"}
    assert trained == {f"experiment=cv-fold_{fold}" for fold in (1, 2, 3, 4)}
