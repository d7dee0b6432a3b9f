"""config/dissertation.yaml is Table 4.2."""

from __future__ import annotations

import csv
from pathlib import Path

import yaml

from affectflow.backbones.weights import backbone
from affectflow.config.experiments import read_experiments
from affectflow.published.names import EXPERIMENTS
from affectflow.training.experiment import read_experiment

FILE = Path(__file__).parents[2] / "config" / "dissertation.yaml"


BACKBONES = {"fecnet_teacher": "fecnet"}


def pair(text: str) -> list[int]:
    return [int(part) for part in text.split("-")]


def test_every_key_of_table_4_2(shared: Path) -> None:
    ours = yaml.safe_load(FILE.read_text())
    with (shared / "reference" / "table_4_2_experiments.csv").open(newline="") as file:
        rows = {f"experiment_{row['experiment']}": row for row in csv.DictReader(file)}
    assert list(rows) == list(EXPERIMENTS)
    assert list(ours) == list(EXPERIMENTS)
    for name, own in ours.items():
        row = rows[name]
        assert own == {
            "backbone": BACKBONES.get(row["extractor"], row["extractor"]),
            "train_clips": int(row["train_clips"]),
            "frames": int(row["frames"]),
            "batch_size": int(row["batch_size"]),
            "epochs": int(row["epochs"]),
            "learning_rate": 0.001,
            "lstm_units": pair(row["lstm_units"]),
            "dropout": float(row["dropout"]),
            "fc_units": pair(row["fc_units"]),
        }


def test_its_embeddings_are_those_of_table_4_2(shared: Path) -> None:
    with (shared / "reference" / "table_4_2_experiments.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            name = BACKBONES.get(row["extractor"], row["extractor"])
            assert backbone(name).dim == int(row["embedding_dim"])


def test_daisees_config_runs_them_all_and_owns_up_to_the_teachers_weights() -> None:
    config = yaml.safe_load((FILE.parent / "daisee.yaml").read_text())
    assert config["experiments"] == "config/dissertation.yaml"
    used = {own["backbone"] for own in yaml.safe_load(FILE.read_text()).values()}
    assert used == set(config["backbones"])
    random = {name for name, own in config["backbones"].items() if own["weights"] == "random"}
    assert random == {"fecnet"}


def test_the_teachers_experiments_can_be_skipped(tmp_path: Path) -> None:
    """A copy of the file with null for them, and no backbone of theirs."""
    given = yaml.safe_load(FILE.read_text()) | {"experiment_1": None, "experiment_2": None}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    settings = {
        "experiments": str(tmp_path / "mine.yaml"),
        "backbones": {"resnet18": {}, "inception_resnet_v1": {}},
        "frames": {"per_clip": 300},
        "seed": 1,
    }
    found = read_experiments(settings, FILE.parents[1])
    assert list(found.trained) == list(EXPERIMENTS)[2:]


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
