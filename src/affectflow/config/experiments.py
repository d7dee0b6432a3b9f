"""A study's experiments, and what is made of them: repeats, folds, sweeps, fusions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectflow.config import sweeps
from affectflow.config.read import read_yaml
from affectflow.errors import UserError, did_you_mean
from affectflow.training.experiment import SETTINGS, hint, read_experiment, schema

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
OWN_KEYS = ("backbone", "seed", "folds", "choose_by")
FUSED_KEYS = ("fuse", "decide")
FEWEST_FOLDS = 3
LONGEST = 200
"""Bytes of a run's name, which is a folder's, and a part of a log's; file systems take 255."""
MOST_SEED = 2**32 - 1
"""NumPy's old generator, which scikit-learn uses, takes no larger one."""
CHOOSE_BY = ("macro_f1", "balanced_accuracy", "kappa", "accuracy", "ccc")


@dataclass(frozen=True)
class Sweep:
    """Experiments that differ in the keys that are swept.

    Attributes
    ----------
    choose_by : str
        The validation metric (mean over tasks and seeds) of which the chosen member has most.
    values : dict
        Member -> swept key -> value.
    runs : dict
        Member -> its trained runs, one for each seed.
    """

    choose_by: str
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiments:
    """What a config asks for.

    Attributes
    ----------
    trained : dict
        Name of a run -> ``backbone``, ``seed``, ``fold`` (None, or this fold and how many there
        are), and ``training``: every key of `affectflow.training.experiment`, defaults filled in.
    fused : dict
        Name -> ``fuse``, the experiments whose predictions are fused, and ``decide``.
    folded : dict
        Name -> its runs, a fold each, in `trained`: what they predict for the subjects that they
        never saw is this experiment's prediction.
    sweeps : dict
        Name -> `Sweep`; its members' runs are in `trained`.
    chosen : dict
        Name -> the sweep whose chosen member's predictions these are, and ``runs``, one for each
        member.
    repeated : dict
        Name of an experiment with a list of seeds -> its runs, scored each for itself.
    scored : list of str
        All that has a prediction for the test split, and is reported: neither a sweep's member nor
        a fold. In the config's order, fusions last.
    """

    trained: dict[str, dict[str, Any]] = field(default_factory=dict)
    fused: dict[str, dict[str, Any]] = field(default_factory=dict)
    folded: dict[str, list[str]] = field(default_factory=dict)
    sweeps: dict[str, Sweep] = field(default_factory=dict)
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)
    repeated: dict[str, list[str]] = field(default_factory=dict)
    scored: list[str] = field(default_factory=list)

    def dealt(self, name: str) -> tuple[int, int] | None:
        """Return into how many folds, and by which seed, the subjects of a scored one are dealt.

        None: it keeps to the splits of the data set. Those that are not None are all tested on all
        subjects, however they were dealt. A fusion has that of its first part.
        """
        if name in self.fused:
            return self.dealt(self.fused[name]["fuse"][0])
        if name in self.folded:
            run = self.trained[self.folded[name][0]]
            return run["fold"][1], run["seed"]
        return None

    def runs(self, name: str) -> list[str]:
        """Return the trained runs that a scored experiment's predictions come from."""
        if name in self.fused:
            return [run for part in self.fused[name]["fuse"] for run in self.runs(part)]
        if name in self.chosen:
            return list(self.chosen[name]["runs"].values())
        return self.folded.get(name, [name])


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
            raise UserError(
                f"{file}: is not a mapping of experiments", "Write `name: {backbone: ...}` lines."
            )
    # An entry that is null is removed, as in the config itself.
    given = {key: sweeps.typed(own) for key, own in given.items() if own is not None}
    names = [str(key) for key in given]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{where}{twice[0]}: there are two of that name", "Rename one.")
    reader = _Reader(settings, where, names)
    for key, own in given.items():
        name = str(key)
        if not NAME.fullmatch(name):
            raise UserError(
                f"{where}'{name}' is no name",
                "Use letters, digits, _ and -, a letter or digit first.",
            )
        if not isinstance(own, Mapping):
            raise UserError(f"{where}{name} is not a mapping", f"{name}: {{backbone: ...}}")
        if "fuse" not in own:
            reader.add(name, own)
    found = reader.found
    fused = {str(key): own for key, own in given.items() if "fuse" in own}
    found.fused.update({name: _fused(where + name, own, found) for name, own in fused.items()})
    found.scored.extend(fused)
    _check_names([*found.trained, *found.scored, *found.sweeps], where)
    return found


class _Reader:
    """Reads experiments one after the other; those that stand for several make several."""

    def __init__(self, settings: dict[str, Any], where: str, given: list[str]) -> None:
        self.settings, self.where, self.given = settings, where, given
        self.found = Experiments()
        self.maker: dict[str, str] = {}

    def add(self, name: str, own: Mapping[str, Any]) -> None:
        """Add an experiment as it is given."""
        swept = any(sweeps.is_swept(key, value) for key, value in own.items())
        if swept and own.get("folds") is not None:
            raise UserError(
                f"{self.where}{name} is a sweep with folds",
                "A sweep chooses on the validation split, and with folds every subject is a test "
                "subject: sweep first, then set folds for what was chosen.",
            )
        if swept:
            self._sweep(name, own)
            return
        if "choose_by" in own:
            raise UserError(
                f"{self.where}{name}.choose_by: no key has a list of values",
                "Remove it, or give the key to be swept a list.",
            )
        runs = self._seeds(name, name, own, self._folds)
        if runs != [name]:
            self.found.repeated[name] = runs

    def _sweep(self, name: str, own: Mapping[str, Any]) -> None:
        by = own.get("choose_by", CHOOSE_BY[0])
        if by not in CHOOSE_BY:
            raise UserError(
                f"{self.where}{name}.choose_by is {by!r}", did_you_mean(str(by), CHOOSE_BY)
            )
        if isinstance(own.get("decide"), list) and "calibrated" in own["decide"]:
            raise UserError(
                f"{self.where}{name}.decide: calibrated can't be one of a sweep's values",
                "Its thresholds are fitted to the clips that the sweep chooses on, and would win "
                "by that alone. Set decide: calibrated for all members, or for what was chosen.",
            )
        sweep = Sweep(by)
        own = {key: value for key, value in own.items() if key != "choose_by"}
        for ending, values, keys in sweeps.members(f"{self.where}{name}", own):
            member = self._new(name + ending, name)
            sweep.values[member] = values
            sweep.runs[member] = self._seeds(member, name, keys, self._train)
        self.found.sweeps[name] = sweep
        # What is scored, a run for each seed, has the runs of that seed to choose from.
        by_seed = list(zip(*sweep.runs.values(), strict=True))
        seeds = own["seed"] if isinstance(own.get("seed"), list) else None
        names = [f"{name}-seed_{seed}" for seed in seeds] if seeds else [name]
        for run, runs in zip(names, by_seed, strict=True):
            members = dict(zip(sweep.runs, runs, strict=True))
            self.found.chosen[self._new(run, name)] = {"sweep": name, "runs": members}
            self.found.scored.append(run)
        if seeds:
            self.found.repeated[name] = names

    def _seeds(
        self,
        name: str,
        maker: str,
        own: Mapping[str, Any],
        make: Callable[[str, str, Mapping[str, Any]], None],
    ) -> list[str]:
        """Make the run, or the runs, of an experiment; return their names."""
        seeds = own.get("seed")
        if not isinstance(seeds, list):
            make(name, maker, own)
            return [name]
        if len(seeds) < 2 or len(set(map(repr, seeds))) < len(seeds):
            raise UserError(
                f"{self.where}{maker}.seed is {seeds!r}", "List two or more seeds, each once."
            )
        runs = {f"{name}-seed_{seed}": {**own, "seed": seed} for seed in seeds}
        for run, keys in runs.items():
            make(run, maker, keys)
        return list(runs)

    def _folds(self, name: str, maker: str, own: Mapping[str, Any]) -> None:
        folds = own.get("folds")
        self.found.scored.append(name)
        if folds is None:
            self._train(name, maker, own)
            return
        if not isinstance(folds, int) or isinstance(folds, bool) or folds < FEWEST_FOLDS:
            raise UserError(
                f"{self.where}{maker}.folds is {folds!r}",
                f"It must be a whole number from {FEWEST_FOLDS}: one fold is tested, one chooses "
                "the epoch, the others are trained on.",
            )
        runs = [f"{name}-fold_{fold}" for fold in range(1, folds + 1)]
        for fold, run in enumerate(runs, start=1):
            self._train(run, maker, own, (fold, folds))
        self.found.folded[self._new(name, maker)] = runs

    def _train(
        self,
        name: str,
        maker: str,
        own: Mapping[str, Any],
        fold: tuple[int, int] | None = None,
    ) -> None:
        own = {key: value for key, value in own.items() if key != "folds"}
        run = _trained(f"{self.where}{name}", own, self.settings)
        self.found.trained[self._new(name, maker)] = run | {"fold": fold}

    def _new(self, name: str, maker: str) -> str:
        """Return a name that this experiment, and no other, may have."""
        if len(name.encode()) > LONGEST:
            raise UserError(
                f"{self.where}{maker}: a run's name would have more than {LONGEST} bytes: {name}",
                "Sweep fewer keys at once, or rename the experiment.",
            )
        other = name in self.given and name != maker
        if other or self.maker.setdefault(name, maker) != maker:
            raise UserError(
                f"{self.where}{name}: there are two of that name",
                f"Rename it: it is what a run of {maker} is called.",
            )
        return name


def _check_names(names: Iterable[str], where: str) -> None:
    """Check that each name can be a folder's, and another than the others', on any disk."""
    known: dict[str, str] = {}
    for name in names:
        if len(name.encode()) > LONGEST:
            raise UserError(
                f"{where}{name}: a name has at most {LONGEST} bytes, and this one has "
                f"{len(name.encode())}",
                "Rename the experiment.",
            )
        other = known.setdefault(name.casefold(), name)
        if other != name:
            raise UserError(
                f"{where}{name}: differs from {other} by capitals alone",
                "Rename one: on some disks (macOS, Windows shares) they would be one folder.",
            )


def _fused(where: str, given: Mapping[str, Any], found: Experiments) -> dict[str, Any]:
    for key in given:
        if key not in FUSED_KEYS:
            raise UserError(f"{where}: unknown key '{key}'", did_you_mean(str(key), FUSED_KEYS))
    if not isinstance(given["fuse"], list):
        raise UserError(f"{where}.fuse is {given['fuse']!r}", "Name two or more experiments.")
    # Of a repeated experiment every run.
    members = [str(member) for member in given["fuse"]]
    runs = [run for member in members for run in found.repeated.get(member, [member])]
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise UserError(f"{where}.fuse is {members!r}", "Name two or more experiments, each once.")
    for run in runs:
        if run not in found.scored:
            raise UserError(
                f"{where}.fuse: there is no experiment '{run}'",
                did_you_mean(str(run), [*found.scored, *found.repeated]),
            )
    if len({found.dealt(run) is None for run in runs}) > 1:
        raise UserError(
            f"{where}.fuse: {', '.join(runs)} are not tested on the same subjects",
            "Fuse experiments that have folds with each other, and so those that have none.",
        )
    rule = given.get("decide") or "mode"
    if rule not in SETTINGS["decide"]["enum"]:
        rules = [str(known) for known in SETTINGS["decide"]["enum"] if known]
        raise UserError(f"{where}.decide is {rule!r}", did_you_mean(str(rule), rules))
    if rule == "calibrated" and found.dealt(runs[0]) is not None:
        raise UserError(
            f"{where}.decide: calibrated needs a validation split",
            "With folds every subject is a test subject: leave decide out, and set it for the "
            "experiments that are fused.",
        )
    return {"fuse": runs, "decide": rule}


def _trained(where: str, given: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    head, loss = (given.get(name, SETTINGS[name]["default"]) for name in ("head", "loss"))
    for name, value in (("head", head), ("loss", loss)):
        if not isinstance(value, str):
            raise UserError(
                f"{where}.{name} is {value!r}",
                f"Give a name. The default is {SETTINGS[name]['default']}.",
            )
    try:
        known = [*OWN_KEYS, *schema(head, loss)]
    except UserError as error:
        raise UserError(f"{where}.{error.message}", error.remedy) from None
    for key in given:
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'", hint(str(key), known, head))
    if "backbone" not in given:
        raise UserError(f"{where}: key 'backbone' is missing", "Name one that is under backbones.")
    backbone = str(given["backbone"])
    if backbone not in settings["backbones"]:
        raise UserError(
            f"{where}.backbone: '{backbone}' is not under backbones",
            did_you_mean(backbone, settings["backbones"]),
        )
    seed = given.get("seed", settings["seed"])
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MOST_SEED:
        raise UserError(
            f"{where}.seed: {seed!r} is no seed",
            f"It must be a whole number from 0 to {MOST_SEED}.",
        )
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
