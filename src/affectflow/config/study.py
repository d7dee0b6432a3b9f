"""A study's config, merged, checked and completed. Imports nothing heavy: every job parses it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectflow import registry
from affectflow.config.check import check, read_yaml
from affectflow.errors import UserError, did_you_mean
from affectflow.training.experiment import SETTINGS, read_experiment, schema

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
OWN_KEYS = ("backbone", "seed")
FUSED_KEYS = ("fuse", "decide")


@dataclass(frozen=True)
class Study:
    """A checked config.

    Attributes
    ----------
    settings : dict
        The config itself, entries that were set to null removed.
    experiments : dict
        Experiment name -> ``backbone``, ``seed``, and ``training``: every key of
        `affectflow.training.experiment`, defaults filled in.
    fused : dict
        Name -> ``fuse``, the experiments whose predictions are fused, and ``decide``. They are in
        the config beside the experiments, and are not trained.
    """

    settings: dict[str, Any]
    experiments: dict[str, dict[str, Any]]
    fused: dict[str, dict[str, Any]] = field(default_factory=dict)

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
    return Study(settings, *_experiments(settings, checkout))


def _experiments(
    settings: dict, checkout: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    given, where = settings["experiments"], "config: experiments."
    if isinstance(given, str):
        file = Path(given).expanduser()
        file = file if file.is_file() else checkout / given
        given, where = read_yaml(file), f"{file.name}: "
        if not isinstance(given, Mapping):
            raise UserError(f"{file}: is not a mapping of experiments", "name: {backbone: ...}")
    experiments: dict[str, dict[str, Any]] = {}
    fused: dict[str, dict[str, Any]] = {}
    for name, own in given.items():
        if not NAME.fullmatch(str(name)):
            raise UserError(
                f"{where}'{name}' is no name",
                "Use letters, digits, _ and -, a letter or digit first.",
            )
        if not isinstance(own, Mapping):
            raise UserError(f"{where}{name} is not a mapping", f"{name}: {{backbone: ...}}")
        if "fuse" in own:
            fused[str(name)] = dict(own)
        else:
            experiments[str(name)] = _experiment(f"{where}{name}", own, settings)
    for name, own in fused.items():
        fused[name] = _fused(f"{where}{name}", own, list(experiments))
    return experiments, fused


def _fused(where: str, given: Mapping[str, Any], experiments: list[str]) -> dict[str, Any]:
    for key in given:
        if key not in FUSED_KEYS:
            raise UserError(f"{where}: unknown key '{key}'", did_you_mean(key, FUSED_KEYS))
    members = given["fuse"]
    if not isinstance(members, list) or len(set(map(str, members))) < 2:
        raise UserError(f"{where}.fuse is {members!r}", "Name two or more experiments.")
    for member in members:
        if member not in experiments:
            raise UserError(
                f"{where}.fuse: there is no experiment '{member}'",
                did_you_mean(str(member), experiments),
            )
    rule = given.get("decide") or "mode"
    if rule not in SETTINGS["decide"]["enum"]:
        rules = [str(known) for known in SETTINGS["decide"]["enum"] if known]
        raise UserError(f"{where}.decide is {rule!r}", did_you_mean(str(rule), rules))
    return {"fuse": list(members), "decide": rule}


def _experiment(where: str, given: Mapping[str, Any], settings: dict) -> dict[str, Any]:
    head, loss = (given.get(name, SETTINGS[name]["default"]) for name in ("head", "loss"))
    known = [*OWN_KEYS, *schema(head, loss)]
    for key in given:
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'", did_you_mean(key, known))
    if "backbone" not in given:
        raise UserError(f"{where}: key 'backbone' is missing", "Name one that is under backbones.")
    backbone = str(given["backbone"])
    if backbone not in settings["backbones"]:
        raise UserError(
            f"{where}.backbone: '{backbone}' is not under backbones",
            did_you_mean(backbone, settings["backbones"]),
        )
    seed = given.get("seed", settings["seed"])
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"{where}.seed: {seed!r} is no seed", "It must be a whole number from 0.")
    own = {key: value for key, value in given.items() if key not in OWN_KEYS}
    training = read_experiment(own, where).keys()
    embedded = settings["frames"].get("per_clip")
    if training["frames"] and training["frames"] > (embedded or 0):
        raise UserError(
            f"{where}.frames: {training['frames']} of {embedded or 'an unknown number of'} "
            "embedded frames per clip",
            "Raise frames.per_clip in the config, or lower it here; with fps leave it out.",
        )
    return {"backbone": backbone, "seed": seed, "training": training}
