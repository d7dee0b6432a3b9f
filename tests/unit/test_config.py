from pathlib import Path
from typing import Any

import pytest
import yaml

from affectflow import registry
from affectflow.config.check import check
from affectflow.config.read import read_yaml
from affectflow.config.study import read_study
from affectflow.errors import UserError
from affectflow.temporal.settings import HEADS, LOSSES, POOLED

CHECKOUT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())


def merged(change: dict[str, Any]) -> dict[str, Any]:
    """Merge as Snakemake does."""

    def merge(base: Any, over: Any) -> Any:
        if isinstance(base, dict) and isinstance(over, dict):
            return base | {key: merge(base.get(key), value) for key, value in over.items()}
        return over

    return merge(DEFAULT, change)


def study(change: dict[str, Any]) -> Any:
    return read_study(merged(change), CHECKOUT)


def test_default_config_is_complete() -> None:
    found = study({})
    assert found.shards == ["000", "001", "002", "003"]
    assert set(found.backbones) == {"resnet18"}
    training = found.experiments["lstm"]["training"]
    assert training["lstm_units"] == [256, 256], "defaults are filled in"
    assert found.experiments["lstm"]["seed"] == DEFAULT["seed"]


def test_config_and_schema_name_the_same_keys() -> None:
    """A key that is not in config.yaml has no comment that tells how to choose it."""
    schema = read_yaml(CHECKOUT / "workflow" / "schemas" / "config.schema.yaml")

    def compare(config: Any, properties: dict, where: str) -> None:
        assert set(config) == set(properties), where
        for key, sub in properties.items():
            if "properties" in sub:
                compare(config[key], sub["properties"], f"{where}{key}.")

    compare(DEFAULT, schema["properties"], "")


def test_every_key_has_a_comment() -> None:
    lines = (CHECKOUT / "config" / "config.yaml").read_text().splitlines()
    for i, line in enumerate(lines):
        stripped = line.strip()
        opens_block = stripped.endswith(":")
        if stripped and not stripped.startswith("#") and ":" in stripped and not opens_block:
            above = lines[i - 1].strip()
            parent_commented = above.endswith(":") and lines[i - 2].strip().startswith("#")
            assert above.startswith("#") or parent_commented, f"line {i + 1}: {line}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datset": {}}, r"unknown key 'datset'\n.*Did you mean 'dataset'"),
        ({"frames": {"perclip": 3}}, r"unknown key 'frames.perclip'\n.*'per_clip'"),
        ({"faces": {"min_sise": 3}}, r"unknown key 'faces.min_sise'\n.*'min_size'"),
        (
            {"backbones": {"resnet18": {"weight": "random"}}},
            r"'backbones.resnet18.weight'\n.*'weights'",
        ),
        (
            {"backbones": {"resnet81": {"weights": "random"}}},
            r"unknown backbone 'resnet81'\n.*'resnet18'",
        ),
        ({"faces": {"detector": "mtcn"}}, r"faces.detector: unknown detector 'mtcn'\n.*'mtcnn'"),
        ({"dataset": {"layout": "daisy"}}, r"dataset.layout: unknown layout 'daisy'\n.*'daisee'"),
        ({"faces": {"align": "boxes"}}, r"faces.align is 'boxes'\n.*Did you mean 'box'"),
        ({"shards": 0}, r"shards is 0\n.*at least 1"),
        ({"shards": "four"}, r"shards is 'four'\n.*a whole number"),
        ({"seed": -1}, r"seed is -1"),
        ({"teacher": {"fec": {"agreement": 2}}}, r"teacher.fec.agreement is 2\n.*at most 1"),
        ({"teacher": {"fec": {"agreement": "2/3"}}}, r"teacher.fec.agreement is '2/3'\n.*a number"),
        ({"device": "gpu"}, r"device is 'gpu'"),
        ({"shards": 4.0}, r"shards is 4.0\n.*a whole number"),
        ({"faces": {"margin": 224}}, r"faces.margin is 224, the whole crop 224"),
        ({"device": "cuda:0"}, r"device is 'cuda:0'"),
        ({"experiments": {"a": {"backbone": "resnet18", "seed": "x"}}}, r"a.seed: 'x' is no seed"),
        ({"experiments": {"a": {"backbone": "resnet18", "epochs": 9.0}}}, r"a: epochs: 9.0"),
        ({"experiments": {"a": {"backbone": "resnet18", "frames": 99}}}, r"a.frames: 99 of 24"),
        (
            {"frames": {"fps": 5}, "experiments": {"a": {"backbone": "resnet18", "frames": 9}}},
            r"a.frames: 9 of an unknown number",
        ),
        ({"experiments": {"-a": {"backbone": "resnet18"}}}, r"'-a' is no name"),
        ({"frames": {"per_clip": None}}, r"frames: set one of per_clip and fps"),
        ({"experiments": {"a": {"backbone": "resnet50"}}}, r"a.backbone: 'resnet50' is not under"),
        ({"experiments": {"a": {"bakbone": "resnet18"}}}, r"unknown key 'bakbone'\n.*'backbone'"),
        ({"experiments": {"a": {}}}, r"a: key 'backbone' is missing"),
        ({"experiments": {"a": {"backbone": "resnet18", "head": "lstn"}}}, r"'lstn'\n.*'lstm'"),
        ({"experiments": {"a": {"backbone": "resnet18", "epoch": 3}}}, r"'epoch'\n.*'epochs'"),
        ({"experiments": {"a": {"backbone": "resnet18", "epochs": 0}}}, r"a: epochs: 0 is less"),
        ({"experiments": {"../a": {"backbone": "resnet18"}}}, r"'../a' is no name"),
        ({"experiments": {"a": None, "b": 3}}, r"b is not a mapping"),
        ({"experiments": {"a": {"fuse": ["b", "b"]}}}, r"a.fuse is \['b', 'b'\]\n  Name"),
        ({"experiments": {"a": {"fuse": "b"}}}, r"a.fuse is 'b'"),
        (
            {"experiments": {"b": {"backbone": "resnet18"}, "a": {"fuse": ["b"]}}},
            r"a.fuse is \['b'\]\n  Name two",
        ),
        ({"experiments": {"a": {"fuse": [["b"], ["c"]]}}}, r"there is no experiment '\['b'\]'"),
        (
            {
                "experiments": {
                    "a": {"fuse": ["b", "b-seed_1"]},
                    "b": {"backbone": "resnet18", "seed": [1, 2]},
                }
            },
            r"a.fuse is \['b', 'b-seed_1'\]\n  Name two or more experiments, each once",
        ),
        ({"experiments": {"a": {"backbone": "resnet18", "seed": [1]}}}, r"a.seed is \[1\]"),
        ({"experiments": {"a": {"backbone": "resnet18", "seed": [1, 1]}}}, r"a.seed is \[1, 1\]"),
        ({"experiments": {"a": {"backbone": "resnet18", "seed": [1, -1]}}}, r"-1.seed: -1 is no"),
        (
            {
                "experiments": {
                    "a": {"backbone": "resnet18", "seed": [1, 2]},
                    "a-seed_1": {"backbone": "resnet18"},
                }
            },
            r"a-seed_1: there are two of that name",
        ),
        ({"experiments": {"a": {"fuse": ["b", "c"]}}}, r"a.fuse: there is no experiment 'b'"),
        (
            {"experiments": {"a": {"backbone": "resnet18", "epochs": [5]}}},
            r"a.epochs is \[5\]\n  List two or more values",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "epochs": [5, 5]}}},
            r"a.epochs is \[5, 5\]",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "epochs": [5, 0]}}},
            r"a-epochs_0: epochs: 0 is less",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "normalise": [{}, "clip"]}}},
            r"a.normalise: {} can't be swept",
        ),
        (
            {"experiments": {"a": {"backbone": ["resnet18", "resnet19"]}}},
            r"a-backbone_resnet19.backbone: 'resnet19' is not under",
        ),
        (
            {
                "experiments": {
                    "a": {"backbone": "resnet18", "head": ["lstm", "gru"], "gru_units": [8, 8]}
                }
            },
            r"a-head_lstm: unknown key 'gru_units'",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "epochs": [5, 6], "folds": 3}}},
            r"a is a sweep with folds\n  A sweep chooses on the validation split",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "epochs": [5, 6], "choose_by": "f1"}}},
            r"a.choose_by is 'f1'\n  .*macro_f1",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "dropout": [0, 0.0]}}},
            r"a.dropout is \[0, 0.0\]",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "head": ["lstm", None]}}},
            r"a-head_none.head is None\n  Give a name",
        ),
        ({"experiments": {"a": {"backbone": "resnet18", "loss": 3}}}, r"a.loss is 3\n  Give a"),
        ({"experiments": {"a": {"backbone": "resnet18", 3: [1, 2]}}}, r"a-3_1: unknown key '3'"),
        ({"experiments": {"a": {"backbone": "resnet18", "folds": [3, 5]}}}, r"folds is \[3, 5\]"),
        (
            {"experiments": {1: {"backbone": "resnet18"}, "1": {"backbone": "resnet18"}}},
            r"1: there are two of that name",
        ),
        (
            {"experiments": {"a" * 195: {"backbone": "resnet18", "seed": [1, 2]}}},
            r"more than 200 bytes",
        ),
        (
            {"experiments": {"lstm": {"backbone": "resnet18"}, "LSTM": {"backbone": "resnet18"}}},
            r"LSTM: differs from lstm by capitals alone",
        ),
        (
            {
                "experiments": {
                    "a": {"backbone": "resnet18"},
                    "b": {"backbone": "resnet18"},
                    "x" * 201: {"fuse": ["a", "b"]},
                }
            },
            r"at most 200 bytes, and this one has 201",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "decide": ["mode", "calibrated"]}}},
            r"a.decide: calibrated can't be one of a sweep's values",
        ),
        (
            {
                "experiments": {
                    "a": {"fuse": ["b", "c"], "decide": "calibrated"},
                    "b": {"backbone": "resnet18", "folds": 3},
                    "c": {"backbone": "resnet18", "folds": 4},
                }
            },
            r"a.decide: calibrated needs a validation split",
        ),
        (
            {"experiments": {"a": {"backbone": "resnet18", "choose_by": "kappa"}}},
            r"a.choose_by: no key has a list",
        ),
        (
            {
                "experiments": {
                    "a": {"backbone": "resnet18", "epochs": [5, 6]},
                    "a-epochs_5": {"backbone": "resnet18"},
                }
            },
            r"a-epochs_5: there are two of that name\n  Rename it: .* a run of a is",
        ),
        (
            {
                "experiments": {
                    "a": {"backbone": "resnet18", "epochs": [5, 6], "seed": [1, 2]},
                    "a-epochs_5": {"backbone": "resnet18", "seed": [1, 2]},
                }
            },
            r"there are two of that name",
        ),
        ({"experiments": {"a": {"backbone": "resnet18", "folds": 2}}}, r"a.folds is 2\n.*from 3"),
        ({"experiments": {"a": {"backbone": "resnet18", "folds": 3.0}}}, r"a.folds is 3.0"),
        (
            {
                "experiments": {
                    "a": {"fuse": ["b", "c"]},
                    "b": {"backbone": "resnet18", "folds": 3},
                    "c": {"backbone": "resnet18"},
                }
            },
            r"a.fuse: b, c are not tested on the same subjects",
        ),
        (
            {
                "experiments": {
                    "a": {"fuse": ["b-fold_1", "b-fold_2"]},
                    "b": {"backbone": "resnet18", "folds": 3},
                }
            },
            r"a.fuse: there is no experiment 'b-fold_1'\n  Known: b\.",
        ),
        ({"experiments": {"a": {"fuse": ["b", "c"], "epochs": 3}}}, r"a: unknown key 'epochs'"),
        ({"experiments": "nowhere.yaml"}, r"nowhere.yaml: No such file"),
    ],
)
def test_mistakes_are_named_with_a_remedy(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        study(change)
    assert error.value.remedy


def test_fps_takes_the_place_of_per_clip() -> None:
    assert study({"frames": {"fps": 5}}).settings["frames"]["per_clip"] is None


def test_home_of_weights_is_found() -> None:
    found = study({"backbones": {"resnet18": {"weights": "~/w.pt"}}})
    assert found.backbones["resnet18"]["weights"] == str(Path.home() / "w.pt")


def test_null_removes_an_entry() -> None:
    change = {
        "backbones": {"resnet18": None, "inception_resnet_v1": {"weights": "random"}},
        "experiments": {"a": {"backbone": "inception_resnet_v1"}},
    }
    assert set(study(change).backbones) == {"inception_resnet_v1"}


def test_experiments_file_in_the_working_directory_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("only: {backbone: resnet18}\n")
    assert set(study({"experiments": "mine.yaml"}).experiments) == {"only"}


def test_yaml_that_is_broken(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: [1\n")
    with pytest.raises(UserError, match="is not YAML"):
        read_yaml(tmp_path / "x.yaml")


def test_check_passes_what_fits() -> None:
    check(merged({}), CHECKOUT / "workflow" / "schemas" / "config.schema.yaml")


def test_a_list_of_seeds_is_a_run_for_each_and_fuses_as_one() -> None:
    found = study(
        {
            "experiments": {
                "many": {"backbone": "resnet18", "seed": [1, 7], "epochs": 3},
                "one": {"backbone": "resnet18", "epochs": 3},
                "both": {"fuse": ["many", "one"], "decide": "calibrated"},
            }
        }
    )
    assert found.asked.repeated == {"many": ["many-seed_1", "many-seed_7"]}
    assert found.experiments["many-seed_7"]["seed"] == 7
    one, seven = (found.experiments[f"many-seed_{seed}"] for seed in (1, 7))
    assert one["training"] == seven["training"] == found.experiments["one"]["training"]
    assert found.asked.fused == {
        "both": {"fuse": ["many-seed_1", "many-seed_7", "one"], "decide": "calibrated"}
    }


def test_folds_are_runs_that_are_scored_as_one() -> None:
    own = {"backbone": "resnet18", "epochs": 3, "folds": 3}
    found = study({"experiments": {"cv": own, "cvs": {**own, "seed": [1, 7]}}}).asked
    assert found.folded["cv"] == ["cv-fold_1", "cv-fold_2", "cv-fold_3"]
    assert [found.trained[f"cv-fold_{fold}"]["fold"] for fold in (1, 2, 3)] == [
        (1, 3),
        (2, 3),
        (3, 3),
    ]
    assert "folds" not in found.trained["cv-fold_1"]["training"]
    assert found.repeated == {"cvs": ["cvs-seed_1", "cvs-seed_7"]}
    assert found.folded["cvs-seed_7"][0] == "cvs-seed_7-fold_1"
    assert found.scored == ["cv", "cvs-seed_1", "cvs-seed_7"]
    assert found.dealt("cv") == (3, DEFAULT["seed"]) and found.dealt("cvs-seed_7") == (3, 7)
    assert found.runs("cv") == found.folded["cv"]


def test_experiments_in_folds_are_fused_whatever_the_folds() -> None:
    own = {"backbone": "resnet18", "folds": 3, "seed": [1, 7]}
    other = {"backbone": "resnet18", "folds": 4}
    found = study({"experiments": {"a": own, "b": other, "both": {"fuse": ["a", "b"]}}}).asked
    assert found.fused["both"]["fuse"] == ["a-seed_1", "a-seed_7", "b"]
    assert found.dealt("both") is not None


def test_a_sweep_has_every_combination_and_one_scored_experiment() -> None:
    found = study(
        {
            "experiments": {
                "lstm": {"backbone": "resnet18"},
                "s": {
                    "backbone": "resnet18",
                    "dropout": [0, 0.5],
                    "lstm_units": [[8, 8], [16, 16]],
                    "fc_units": [4, 4],
                    "frames": [None, 10],
                    "choose_by": "kappa",
                },
                "both": {"fuse": ["s", "lstm"]},
            }
        }
    ).asked
    sweep = found.sweeps["s"]
    assert sweep.choose_by == "kappa" and len(sweep.values) == 8
    member = "s-dropout_0.5-lstm_units_16_16-frames_none"
    assert sweep.values[member] == {"dropout": 0.5, "lstm_units": [16, 16], "frames": None}
    assert sweep.runs[member] == [member]
    training = found.trained[member]["training"]
    assert (training["dropout"], training["lstm_units"], training["fc_units"]) == (
        0.5,
        [16, 16],
        [4, 4],
    )
    assert found.scored == ["lstm", "s", "both"]
    assert list(found.chosen["s"]["runs"]) == list(sweep.runs)
    assert found.dealt("both") is None
    assert found.runs("both") == [*sweep.runs, "lstm"]


def test_a_sweep_with_seeds_is_scored_once_for_each() -> None:
    own = {"backbone": "resnet18", "epochs": [3, 4], "seed": [1, 2]}
    found = study({"experiments": {"s": own}}).asked
    assert found.sweeps["s"].runs == {
        "s-epochs_3": ["s-epochs_3-seed_1", "s-epochs_3-seed_2"],
        "s-epochs_4": ["s-epochs_4-seed_1", "s-epochs_4-seed_2"],
    }
    assert found.scored == found.repeated["s"] == ["s-seed_1", "s-seed_2"]
    assert found.chosen["s-seed_2"] == {
        "sweep": "s",
        "runs": {"s-epochs_3": "s-epochs_3-seed_2", "s-epochs_4": "s-epochs_4-seed_2"},
    }


def test_prepared_choices_are_experiments_that_differ_in_one_thing() -> None:
    backbones = {name: {"weights": "random"} for name in ("resnet18", "inception_resnet_v1")}
    found = study(
        {
            "frames": {"per_clip": 300},
            "backbones": backbones,
            "experiments": str(CHECKOUT / "config" / "choices.yaml"),
        }
    )
    assert set(found.asked.fused) == {"late_fusion"}
    base = found.experiments["base"]["training"]
    one_thing = {
        name: [key for key, value in own["training"].items() if base.get(key, value) != value]
        for name, own in found.experiments.items()
    }
    for name in ("weighted_loss", "weighted_sampling", "focal"):
        assert "select_by" in one_thing[name] and len(one_thing[name]) == 2, name
    for name in ("calibrated", "coral", "corn", "soft_ordinal", "label_smoothing", "all_frames"):
        assert len(one_thing[name]) == 1, name
    for name in ("key_frames", "correlated_features", "time_mask", "jitter", "mixup", "permuted"):
        assert len(one_thing[name]) == 1, name
    few = found.experiments["few_frames"]["training"]
    for name in ("last", "all"):
        own = found.experiments[f"fine_tune_{name}"]["training"]
        new = {"fine_tune": name, "backbone_learning_rate": 0.00001}
        assert own == few | new
    # Every head, every loss, every kind of weight is there to be tried.
    training = [own["training"] for own in found.experiments.values()]
    assert {own["head"] for own in training} == {*registry.names(HEADS), *registry.names(POOLED)}
    assert {own["loss"] for own in training if "loss" in own} == set(registry.names(LOSSES))
