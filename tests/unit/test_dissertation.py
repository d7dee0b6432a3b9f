"""config/dissertation.yaml is Table 4.2."""

from __future__ import annotations

import csv
from pathlib import Path

import yaml

from affectflow.published.names import EXPERIMENTS
from affectflow.training.experiment import read_experiment

FILE = Path(__file__).parents[2] / "config" / "dissertation.yaml"


def pair(text: str) -> list[int]:
    return [int(part) for part in text.split("-")]


def test_every_key_of_table_4_2(shared: Path) -> None:
    ours = yaml.safe_load(FILE.read_text())
    with (shared / "reference" / "table_4_2_experiments.csv").open(newline="") as file:
        rows = {f"experiment_{row['experiment']}": row for row in csv.DictReader(file)}
    assert list(rows) == list(EXPERIMENTS)
    # The first two wait for the teacher network.
    assert list(ours) == list(EXPERIMENTS)[2:]
    for name, own in ours.items():
        row = rows[name]
        assert own == {
            "backbone": row["extractor"],
            "train_clips": int(row["train_clips"]),
            "frames": int(row["frames"]),
            "batch_size": int(row["batch_size"]),
            "epochs": int(row["epochs"]),
            "learning_rate": 0.001,
            "lstm_units": pair(row["lstm_units"]),
            "dropout": float(row["dropout"]),
            "fc_units": pair(row["fc_units"]),
        }


def test_what_it_leaves_out_is_the_dissertations_too() -> None:
    """Cross-entropy, given labels, no weights, no augmentation: sections 4.2 and 5.2."""
    for own in yaml.safe_load(FILE.read_text()).values():
        training = {key: value for key, value in own.items() if key != "backbone"}
        experiment = read_experiment(training)
        assert (experiment.head, experiment.loss, experiment.labels) == (
            "lstm",
            "cross_entropy",
            "given",
        )
        assert (experiment.level_weights, experiment.sampling) == ("none", "shuffled")
        assert not (experiment.time_mask or experiment.jitter or experiment.mixup)
