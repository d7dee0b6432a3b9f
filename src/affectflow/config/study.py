"""A study's config, merged, checked and completed. Imports nothing heavy: every job parses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectflow import registry
from affectflow.config.check import check
from affectflow.config.experiments import Experiments, read_experiments
from affectflow.errors import UserError
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


def read_study(config: Mapping[str, Any], checkout: Path) -> Study:
    """Check a merged config and read its experiments.

    Parameters
    ----------
    config : mapping
        As Snakemake merged it.
    checkout : Path
        The folder of the Snakefile: its schemas are used, and a relative `experiments` file is
        looked for there where the working directory has none.

    Raises
    ------
    UserError
        For a key that is unknown, missing, or has a value that can't be.
    """
    schemas = checkout / "workflow" / "schemas"
    settings = dict(config)
    for key in ("backbones", "experiments"):
        if isinstance(settings.get(key), Mapping):
            settings[key] = {k: v for k, v in settings[key].items() if v is not None}
    check(settings, schemas / "config.schema.yaml", "config: ")
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
    read_settings(settings["teacher"]["training"], "config: teacher.training")
    return Study(settings, read_experiments(settings, checkout))
