"""Every head on the demo's embeddings: engagement of subjects that it never saw."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from sklearn.metrics import cohen_kappa_score
from training_job import job

from affectflow.training.run import train

# As the demo's own experiment: few clips are learnt by heart within some ten epochs.
BY_EPOCHS = {"epochs": 40, "batch_size": 16, "patience": 10}
HEADS = {
    "lstm": {"fc_units": [512, 128], **BY_EPOCHS},
    "gru": BY_EPOCHS,
    "bilstm": BY_EPOCHS,
    "tcn": BY_EPOCHS,
    "transformer": BY_EPOCHS,
    "attention": BY_EPOCHS,
    "pooled_ridge": {},
    "pooled_svm": {},
    "pooled_forest": {},
    "pooled_boosting": {"leaf_clips": 5},
}


@pytest.mark.parametrize("head", HEADS)
def test_engagement_of_unseen_subjects(head: str, demo: Path, tmp_path: Path) -> None:
    asked = job(tmp_path, {"head": head, **HEADS[head]}, demo / "dataset")
    train(demo / "embeddings" / "resnet18.h5", asked)
    rows = pandas.read_csv(asked.predictions)
    rows = rows[(rows["split"] == "test") & (rows["task"] == "engagement")].dropna(subset="label")
    kappa = cohen_kappa_score(rows["label"], rows["predicted"], weights="quadratic")
    assert kappa >= 0.5, f"quadratic kappa on {rows['subject'].nunique()} subjects"
