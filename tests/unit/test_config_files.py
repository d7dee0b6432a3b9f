"""Configs as people write them, in files and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.cli import parse_config
from test_config import CHECKOUT, merged, study

from affectflow.config.check import allowed
from affectflow.config.read import check_files, read_yaml
from affectflow.config.study import Study, read_study
from affectflow.config.values import as_meant
from affectflow.errors import UserError

DEFAULT_FILE = CHECKOUT / "config" / "config.yaml"
EXPERIMENT = "experiments: {a: {backbone: resnet18, %s}}"


def of_file(path: Path, text: str | bytes, *entries: str) -> Study:
    """The study of a config file and of --config, merged and read as Snakemake does."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    change = merged(yaml.safe_load(path.read_bytes()) or {})
    command_line = parse_config(list(entries))
    for key, value in command_line.items():
        both = isinstance(value, dict) and isinstance(change.get(key), dict)
        change[key] = change[key] | value if both else value
    return read_study(change, CHECKOUT, [DEFAULT_FILE, path], command_line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "shards: 2\nseed: 1\nshards: 3\n",
            r"mine.yaml: key 'shards' stands on line 1 and on line 3",
        ),
        ("frames: {per_clip: 3}\nframes: {fps: null}\n", r"key 'frames' stands on line 1"),
        ("frames: {per_clip: 3, per_clip: 4}\n", r"key 'per_clip' stands on line 1 and on line 1"),
        (
            "experiments:\n  a: {backbone: resnet18}\n  'a': {backbone: resnet18}\n",
            r"key 'a' stands on line 2 and on line 3",
        ),
        ("experiments:\n  1: {backbone: resnet18}\n  '1': {}\n", r"key '1' stands on line 2"),
        (
            "experiments:\n  on: {backbone: resnet18}\n",
            r"line 2: the key on is true or false .*\n.*'on'",
        ),
        ("experiments:\n  ~: {backbone: resnet18}\n", r"line 2: the key ~ is null"),
        ("? [a, b]\n: 1\n", r"line 1: a key is a list"),
        ("group: 2024-02-31\n", r"has a value that is none: .*\n.*quotes"),
        ("seed: !!int x\n", r"has a value that is none"),
        ("seed: 010\n", r"mine.yaml, line 1: 010 is 8 to YAML.*\n.*Write 10, or '010' in quotes"),
        ("dataset: {tasks: {a: {levels: [01, 02]}}}\n", r"line 1: 01 is 1 to YAML"),
        ("group: 1:30\n", r"line 1: 1:30 is a number to YAML.*\n.*'1:30'"),
        ("frames:\n\tper_clip: 3\n", r"line 2: is not YAML.*\n.*not with tabs"),
        ("a: b: c\n", r"line 1: is not YAML.*\n.*needs quotes"),
        ("a: 1\n---\nb: 2\n", r"line 2: is not YAML.*\n.*`---`"),
        ("a: [1\n", r"is not YAML"),
        ("a: !!python/object:os.x 1\n", r"line 1: is not YAML"),
        ("a: *b\n", r"line 1: is not YAML"),
        (b"# M\xfcller\nseed: 3\n", r"line 1: is not UTF-8 text \(byte 0xfc\)"),
        (b"seed: 3\0\n", r"is not YAML"),
        ("- a\n", r"is no mapping"),
        ("frames:value\n", r"is no mapping of keys.*\n.*blank after the colon"),
        ("", r"is no mapping"),
        ('{"seed": 1,\t"seed": 2}', r"key 'seed' is there twice"),
    ],
)
def test_what_yaml_would_pass_over_is_told(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message) as error:
        check_files([path])
    assert error.value.remedy and str(path) in str(error.value)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfseed: 3\n",
        b"seed: 3\r\n",
        b"seed: 3\rshards: 2\r",
        "seed: 3\n".encode("utf-16"),
        b'{"seed":\t3}',
        b"--- # mine\nseed: 3\n...\n",
        b"a: &x {seed: 3}\n<<: *x\nb: *x\n",
        b"a: 1e3x\n1e3y: 2\nseed: 3\n",
        b"__use_yte__: true\nseed: 3\nseed: 3\n",
        b"a: &x [*x]\nseed: 3\n",
        b"a: '010'\nb: 1_000\nc: 0\nd: -0\ne: 0.5\nseed: 3\n",
    ],
)
def test_what_is_right_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(data)
    check_files([path])
    assert read_yaml(path)["seed"] == 3


def test_what_the_project_ships_is_right() -> None:
    check_files([*(CHECKOUT / "config").glob("*.yaml"), *(CHECKOUT / "profiles").rglob("*.yaml")])


@pytest.mark.parametrize(
    "content", ["", "- a\n", "text\n", "a: {backbone: resnet18}\na: {}\n", None]
)
def test_an_experiments_file_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    else:
        path.mkdir()
    with pytest.raises(
        UserError, match=r"mine\.yaml: (is not a mapping|key 'a'|Is a dir)"
    ) as error:
        study({"experiments": str(path)})
    assert error.value.remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames:\n  per_clip: 3\n  perclip: 4\n", r"key 'frames.perclip' \(mine.yaml, line 3\)"),
        ("shards: 0\n", r"shards is 0 \(mine.yaml, line 1\)\n.*at least 1"),
        (
            "faces:\n  every: often\n",
            r"every is 'often' .*line 2\)\n.*whole number, at least 1, or auto",
        ),
        (
            "dataset: {tasks: {a: {levels: x}}}\n",
            r"'x' .*\n  It must be a whole number, at least 2, or a list \(.*of 2 or more, each",
        ),
        ("dataset: {layout: null}\n", r"dataset.layout is null .*\n  It must be text\."),
        ("frames: null\n", r"frames is null .*\n  It must be a mapping"),
        ("frames: {fps: .nan}\n", r"fps is nan"),
        ("frames: {fps: .inf}\n", r"fps is inf"),
        ("quota: {gigabytes: .inf}\n", r"gigabytes is inf"),
        ("seed: 99999999999\n", r"seed is 99999999999 .*\n.*at most 4294967295"),
        ("group: no\n", r"group is false .*\n.*in quotes"),
        ("group: 2024-05-01\n", r"group is 2024-05-01 .*\n.*in quotes"),
        ("group: 1000\n", r"group is 1000 .*\n.*in quotes"),
        ("device: cuda:0\n", r"device is 'cuda:0' .*\n.*Did you mean 'cuda'"),
        ("1: 2\n", r"unknown key '1' \(mine.yaml, line 1\)"),
        ("backbones: {1: {weights: random}}\n", r"unknown backbone '1'"),
        (
            "backbones: {resnet18: {weights: random, sha256: ab}}\n",
            r"'ab' .*\n.*64 hexadecimal digits",
        ),
        ("dataset: {tasks: [a]}\n", r"dataset.tasks is \['a'\]"),
        ("shards: '6 4'\n", r"shards is '6 4'"),
        ("shards: true\n", r"shards is true"),
        (EXPERIMENT % "learning_rate: fast", r"learning_rate: 'fast' is not of type 'number'"),
        (EXPERIMENT % "head: lstn", r"experiments.a.head: unknown head 'lstn'"),
        (EXPERIMENT % "learning_rate: .nan", r"learning_rate: nan"),
        (EXPERIMENT % "seed: 99999999999", r"a.seed: 99999999999 is no seed"),
        ("teacher: {training: {epoch: 3}}\n", r"teacher.training: unknown key 'epoch'"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        of_file(tmp_path / "mine.yaml", text)
    assert error.value.remedy


def test_a_mistake_on_the_command_line_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"frames.per_clip is 'ten' \(--config\)"):
        of_file(tmp_path / "mine.yaml", "frames: {per_clip: 3}\n", "frames={per_clip: ten}")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1E3", 1000.0), (".5", 0.5), ("'0.5'", 0.5), ("+1", 1), ("2.e-1", 0.2)],
)
def test_a_number_is_one_however_it_is_written(tmp_path: Path, text: str, value: float) -> None:
    path = tmp_path / "mine.yaml"
    learnt = of_file(path, EXPERIMENT % f"learning_rate: {text}").experiments["a"]["training"]
    assert learnt["learning_rate"] == value
    (tmp_path / "experiments.yaml").write_text(f"a: {{backbone: resnet18, jitter: {text}}}\n")
    found = of_file(path, f"experiments: {tmp_path}/experiments.yaml\nframes: {{fps: {text}}}\n")
    assert found.experiments["a"]["training"]["jitter"] == value
    assert found.settings["frames"]["fps"] == value
    taught = of_file(path, f"teacher: {{training: {{alpha: {text}}}}}\n").settings["teacher"]
    assert taught["training"]["alpha"] == value


def test_a_name_may_look_like_a_number(tmp_path: Path) -> None:
    (tmp_path / "experiments.yaml").write_text(
        "1e3: {backbone: resnet18}\n7: {backbone: resnet18}\n"
    )
    text = f"experiments: {tmp_path}/experiments.yaml\n"
    assert set(of_file(tmp_path / "mine.yaml", text).experiments) == {"1e3", "7"}


def test_numbers_in_sweeps_and_lists(tmp_path: Path) -> None:
    keys = "learning_rate: [1e-3, 1e-4], lstm_units: [['8', 8]], seed: ['1', 2]"
    text = (EXPERIMENT % keys).replace("[['8', 8]]", "['8', 8]")
    found = of_file(tmp_path / "mine.yaml", text).asked
    assert list(found.sweeps["a"].values) == ["a-learning_rate_0.001", "a-learning_rate_0.0001"]
    run = found.trained["a-learning_rate_0.001-seed_1"]
    assert run["training"]["lstm_units"] == [8, 8] and run["seed"] == 1


def test_the_command_line_gives_texts_that_are_read_as_meant(tmp_path: Path) -> None:
    found = of_file(
        tmp_path / "mine.yaml",
        "shards: '3'\n",
        "frames={per_clip: 10, fps: null, on_disk: false, jpeg_quality: 80}",
        "faces={every: 3, fallback_size: null}",
        "quota={gigabytes: 1.5}",
        "teacher=null",
        "experiments={a: {backbone: resnet18, epochs: 3, dropout: 0.1, patience: null}}",
    ).settings
    assert found["shards"] == 3
    frames = {"per_clip": 10, "fps": None, "on_disk": False, "jpeg_quality": 80}
    assert found["frames"] == frames and json.dumps(found["frames"]) == json.dumps(frames)
    assert (found["faces"]["every"], found["faces"]["fallback_size"]) == (3, None)
    assert found["quota"]["gigabytes"] == 1.5
    training = study({"experiments": found["experiments"]}).experiments["a"]["training"]
    assert (training["epochs"], training["dropout"], training["patience"]) == (3, 0.1, None)


@pytest.mark.parametrize(
    "change", [None, {}, {"fec": None}, {"training": None, "place": None}, {"base": None}]
)
def test_a_teacher_that_is_null_is_none(change: Any) -> None:
    default = study({}).settings["teacher"]
    assert study({"teacher": change}).settings["teacher"] == default


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_a_text_is_the_number_that_it_shows(real: float, whole: int) -> None:
    assert as_meant(repr(real), {"type": ["number", "null"]}) == real
    assert as_meant(str(whole), {"type": "integer"}) == whole
    for kept in (repr(real), str(whole), "null and void"):
        assert as_meant(kept, {"type": "string"}) == kept
    assert as_meant("x", {"type": "integer"}) == "x"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(), st.lists))
def test_what_is_no_text_stays(value: Any) -> None:
    schema = {"type": ["integer", "array"], "items": {"type": "number"}}
    assert repr(as_meant(value, schema)) == repr(value)


def test_every_schema_says_what_it_allows() -> None:
    def schemas(node: Any) -> list[Any]:
        parts = list(node.values()) if isinstance(node, dict) else node
        inner = (
            [each for part in parts for each in schemas(part)] if isinstance(parts, list) else []
        )
        mine = isinstance(node, dict) and {"type", "enum", "anyOf", "oneOf", "const"} & {*node}
        return [node, *inner] if mine else inner

    every = schemas(read_yaml(CHECKOUT / "workflow" / "schemas" / "config.schema.yaml"))
    assert len(every) > 50
    for schema in every:
        if not isinstance(schema.get("type"), dict):
            assert "another value" not in allowed(schema), schema


@given(st.text(st.sampled_from(" \t\n:-?!&*#'\"{}[],<>|%@~.012eabnoyx"), max_size=30))
def test_whatever_the_text_a_person_is_told(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    path.write_text(text)
    try:
        check_files([path])
    except UserError as error:
        assert error.remedy and str(path) in str(error)
