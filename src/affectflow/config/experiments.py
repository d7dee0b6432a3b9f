"""A study's experiments: trained once, trained with several seeds, or fused from others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectflow.config.check import read_yaml
from affectflow.errors import UserError, did_you_mean
from affectflow.training.experiment import SETTINGS, hint, read_experiment, schema

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
OWN_KEYS = ("backbone", "seed")
FUSED_KEYS = ("fuse", "decide")


@dataclass(frozen=True)
class Experiments:
    """What a config asks for.

    Attributes
    ----------
    trained : dict
        Name -> ``backbone``, ``seed``, and ``training``: every key of
        `affectflow.training.experiment`, defaults filled in.
    fused : dict
        Name -> ``fuse``, the experiments whose predictions are fused, and ``decide``.
    repeated : dict
        Name of an experiment with a list of seeds -> its runs, each of which is in `trained`.
    """

    trained: dict[str, dict[str, Any]] = field(default_factory=dict)
    fused: dict[str, dict[str, Any]] = field(default_factory=dict)
    repeated: dict[str, list[str]] = field(default_factory=dict)


def read_experiments(settings: dict[str, Any], checkout: Path) -> Experiments:
    """Read the experiments of a config: a mapping, or the file that it names.

    Parameters
    ----------
    settings : dict
        The config, checked but for this.
    checkout : Path
        Where a relative file is looked for if the working directory has none.

    Raises
    ------
    UserError
        For a key that is unknown, missing, or has a value that can't be.
    """
    given, where = settings["experiments"], "config: experiments."
    if isinstance(given, str):
        file = Path(given).expanduser()
        file = file if file.is_file() else checkout / given
        given, where = read_yaml(file), f"{file.name}: "
        if not isinstance(given, Mapping):
            raise UserError(f"{file}: is not a mapping of experiments", "name: {backbone: ...}")
    found = Experiments()
    fused = {}
    for key, own in given.items():
        name = str(key)
        if not NAME.fullmatch(name):
            raise UserError(
                f"{where}'{name}' is no name",
                "Use letters, digits, _ and -, a letter or digit first.",
            )
        if not isinstance(own, Mapping):
            raise UserError(f"{where}{name} is not a mapping", f"{name}: {{backbone: ...}}")
        if "fuse" in own:
            fused[name] = own
        elif isinstance(own.get("seed"), list):
            runs = _repeated(f"{where}{name}", name, own, settings)
            if taken := sorted(run for run in runs if run in given):
                raise UserError(
                    f"{where}{taken[0]}: there are two of that name",
                    f"Rename it: it is what a run of {name} is called.",
                )
            found.trained.update(runs)
            found.repeated[name] = list(runs)
        else:
            found.trained[name] = _trained(f"{where}{name}", own, settings)
    for name, own in fused.items():
        found.fused[name] = _fused(f"{where}{name}", own, found)
    return found


def _repeated(
    where: str, name: str, given: Mapping[str, Any], settings: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    seeds = given["seed"]
    if len(seeds) < 2 or len(set(map(repr, seeds))) < len(seeds):
        raise UserError(f"{where}.seed is {seeds!r}", "List two or more seeds, each once.")
    return {
        f"{name}-seed_{seed}": _trained(where, {**given, "seed": seed}, settings) for seed in seeds
    }


def _fused(where: str, given: Mapping[str, Any], found: Experiments) -> dict[str, Any]:
    for key in given:
        if key not in FUSED_KEYS:
            raise UserError(f"{where}: unknown key '{key}'", did_you_mean(key, FUSED_KEYS))
    if not isinstance(given["fuse"], list):
        raise UserError(f"{where}.fuse is {given['fuse']!r}", "Name two or more experiments.")
    # Of a repeated experiment every run.
    members = [str(member) for member in given["fuse"]]
    runs = [run for member in members for run in found.repeated.get(member, [member])]
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise UserError(f"{where}.fuse is {members!r}", "Name two or more experiments, each once.")
    for run in runs:
        if run not in found.trained:
            raise UserError(
                f"{where}.fuse: there is no experiment '{run}'",
                did_you_mean(str(run), [*found.trained, *found.repeated]),
            )
    rule = given.get("decide") or "mode"
    if rule not in SETTINGS["decide"]["enum"]:
        rules = [str(known) for known in SETTINGS["decide"]["enum"] if known]
        raise UserError(f"{where}.decide is {rule!r}", did_you_mean(str(rule), rules))
    return {"fuse": runs, "decide": rule}


def _trained(where: str, given: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    head, loss = (given.get(name, SETTINGS[name]["default"]) for name in ("head", "loss"))
    known = [*OWN_KEYS, *schema(head, loss)]
    for key in given:
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'", hint(key, known, head))
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
