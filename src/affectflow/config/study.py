"""A study's config, merged, checked and completed. Imports nothing heavy: every job parses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from affectflow import registry
from affectflow.config.check import check
from affectflow.config.experiments import Experiments, read_experiments
from affectflow.config.read import check_files, place, read_yaml
from affectflow.config.values import as_meant
from affectflow.errors import UserError
from affectflow.teacher.settings import SETTINGS as TEACHER_SETTINGS
from affectflow.teacher.settings import read_settings


@dataclass(frozen=True)
class Study:
    """A checked config.

    Attributes
    ----------
    settings : dict
        The config itself, entries that were set to null removed.
    asked : Experiments
        What is trained, and what is made of it.
    """

    settings: dict[str, Any]
    asked: Experiments

    @property
    def experiments(self) -> dict[str, dict[str, Any]]:
        """What is trained: run -> its settings."""
        return self.asked.trained

    @property
    def shards(self) -> list[str]:
        """The shards' numbers as they stand in file names."""
        return [f"{i:03d}" for i in range(self.settings["shards"])]

    @property
    def embedding_shards(self) -> dict[str, list[str]]:
        """Shard of embeddings -> the shards of faces that it is made from."""
        each = self.settings["shards_per_embedding"]
        starts = range(0, len(self.shards), each)
        return {f"{i:03d}": self.shards[start : start + each] for i, start in enumerate(starts)}

    @property
    def backbones(self) -> dict[str, dict[str, Any]]:
        """Backbone name -> its settings."""
        return self.settings["backbones"]


def read_study(
    config: Mapping[str, Any],
    checkout: Path,
    files: Sequence[Path] = (),
    given: Mapping[str, Any] | None = None,
) -> Study:
    """Check a merged config and read its experiments.

    Parameters
    ----------
    config : mapping
        As Snakemake merged it.
    checkout : Path
        The folder of the Snakefile: its schemas are used, and a relative `experiments` file is
        looked for there where the working directory has none.
    files : sequence of Path
        The files that it was merged from, in that order: they are checked for what merging hides
        (`affectflow.config.read.check_files`), and named in messages.
    given : mapping, optional
        What ``--config`` set over them.

    Raises
    ------
    UserError
        For a key that is unknown, missing, or has a value that can't be.
    """
    check_files(files)
    schema = checkout / "workflow" / "schemas" / "config.schema.yaml"
    settings = _completed(as_meant(_with_text_keys(config), read_yaml(schema)), checkout)
    check(settings, schema, "config: ", partial(place, files=files, given=given or {}))
    registry.require("dataset.layouts", settings["dataset"]["layout"], "config: dataset.layout")
    registry.require("faces.detectors", settings["faces"]["detector"], "config: faces.detector")
    for name in settings["backbones"]:
        registry.require("backbones.models", name, "config: backbones")
    settings["backbones"] = {
        name: own | {"weights": str(Path(own["weights"]).expanduser())}
        for name, own in settings["backbones"].items()
    }
    frames, faces = dict(settings["frames"]), settings["faces"]
    if frames.get("fps"):
        # The default config sets per_clip, and a user's file names only what differs.
        frames["per_clip"] = None
    elif not frames.get("per_clip"):
        raise UserError(
            "config: frames: set one of per_clip and fps",
            "per_clip suits clips of one length, fps clips of many.",
        )
    settings["frames"] = frames
    if faces["margin"] >= faces["crop_size"]:
        raise UserError(
            f"config: faces.margin is {faces['margin']}, the whole crop {faces['crop_size']}",
            "Set faces.margin to less than faces.crop_size.",
        )
    teacher = settings["teacher"]
    teacher["training"] = as_meant(teacher["training"], {"properties": TEACHER_SETTINGS})
    read_settings(teacher["training"], "config: teacher.training")
    return Study(settings, read_experiments(settings, checkout))


def _with_text_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with the keys that YAML takes for numbers or dates as texts again."""

    def texts(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): texts(part) for key, part in value.items()}
        return value

    # Of experiments, two may be the same then: who reads them tells.
    return {str(k): v if str(k) == "experiments" else texts(v) for k, v in config.items()}


def _completed(settings: dict[str, Any], checkout: Path) -> dict[str, Any]:
    """Return the config without entries that are null, and with what null stands for."""
    for key in ("backbones", "experiments"):
        if isinstance(settings.get(key), Mapping):
            nothing = (None, "null")  # from --config, a text
            settings[key] = {k: v for k, v in settings[key].items() if v not in nothing}
    teacher = settings.get("teacher")
    if teacher is None or (isinstance(teacher, Mapping) and None in teacher.values()):
        default = read_yaml(checkout / "config" / "config.yaml")["teacher"]
        own = {key: value for key, value in (teacher or {}).items() if value is not None}
        settings["teacher"] = default | own
    return settings
