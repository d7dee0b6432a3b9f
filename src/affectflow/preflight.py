"""Looks before the leap: a study's mistakes, told before any job starts. Imports nothing heavy."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from affectflow import registry
from affectflow.commandline import ERROR
from affectflow.config.study import Study
from affectflow.dataset import coverage, index
from affectflow.dataset.records import SPLITS
from affectflow.errors import DAMAGED, UserError, moved_aside
from affectflow.provenance.atomic import why_not_writable
from affectflow.provenance.content import sha256

log = logging.getLogger(__name__)

TRIGGERS = ("params", "input", "code")
"""Reasons to run a job again that Snakemake must look at."""


def check_folders() -> None:
    """Check that the working directory takes results.

    Raises
    ------
    UserError
        If it, or a folder of results or logs in it, is not there or can't be written to.
    """
    for folder in (Path.cwd(), Path("results"), Path("logs"), Path(".snakemake")):
        if folder.is_symlink() and not folder.exists():
            raise UserError(
                f"{folder.absolute()}: leads to {folder.readlink()}, which is not there",
                "Mount that disk or make that folder again, or remove the link. (Scratch disks are "
                "cleared by time; snakemake makes again what is lost.)",
            )
        if folder.exists() and (why := why_not_writable(folder)):
            raise UserError(
                f"{folder.resolve()}: cannot be written to: {why}",
                "Choose another folder with snakemake --directory DIR, or mend its permissions, or "
                "free some space.",
            )


def check_triggers(triggers: Collection[str] | None, keep_metadata: bool = True) -> None:
    """Check that Snakemake is to look at all that decides a result.

    Labels, clips and code are no input files: their digests are params. By times alone a changed
    label would leave old numbers in place without a word.

    Parameters
    ----------
    triggers : collection of str or None
        Snakemake's ``--rerun-triggers``; None where nothing is said of them.
    keep_metadata : bool
        False with ``--drop-metadata``: what made a result would be forgotten.

    Raises
    ------
    UserError
        If a change would not be seen.
    """
    missing = [] if triggers is None else [name for name in TRIGGERS if name not in triggers]
    if missing:
        raise UserError(
            f"--rerun-triggers leaves out {', '.join(missing)}: results of changed labels, clips, "
            "settings or code would not be made again",
            "Leave out --rerun-triggers, on the command line and in profiles (rerun-triggers). "
            "Nothing is rerun because a file was copied or touched. To keep results in spite of "
            "a change: snakemake --touch.",
        )
    if not keep_metadata:
        raise UserError(
            "--drop-metadata: Snakemake would forget what made a result, and changed labels, "
            "clips, settings or code would not be seen by the next run",
            "Leave it out, on the command line and in profiles (drop-metadata).",
        )


def check(study: Study) -> index.Index:
    """Check what a run needs, and return the study's index.

    Raises
    ------
    UserError
        If weights are missing or others, the data set can't be read, or an experiment asks for
        splits that it can't give.
    """
    for name, settings in study.backbones.items():
        _check_weights(name, settings)
    found = index.build_index(study.settings["dataset"], study.settings["shards"])
    _check_splits(study, found)
    _check_metrics(study, found)
    _check_labels(study, found)
    return found


def weights_identity(settings: Mapping[str, Any], seed: int) -> str:
    """Return what decides a backbone's weights: a seed, the published file, or a file's content."""
    weights = settings["weights"]
    if weights == "random":
        return f"random {seed}"
    if weights == "pretrained":
        return f"pretrained {settings.get('sha256', '')}"
    return sha256(Path(weights).expanduser())


def published_weights(name: str) -> str:
    """Return the address of a backbone's published weights.

    Raises
    ------
    UserError
        If there are none.
    """
    try:
        return registry.literal("backbones.models", name, "URL")
    except AttributeError:
        raise UserError(
            f"config: backbones.{name}.weights: no published weights are known",
            "Give the path of a weights file, or `random`.",
        ) from None


def _check_weights(name: str, settings: Mapping[str, Any]) -> None:
    weights, expected = settings["weights"], settings.get("sha256")
    if weights == "random":
        return
    if weights == "pretrained":
        published_weights(name)
        return
    path = Path(weights).expanduser()
    if not path.is_file():
        raise UserError(
            f"config: backbones.{name}.weights: there is no file {path}",
            "Give the path of a weights file, `pretrained`, or `random`.",
        )
    if expected and (found := sha256(path)) != expected.lower():
        raise UserError(
            f"config: backbones.{name}.sha256: {path} has {found}",
            "The file is damaged or another one: fetch it again, or correct the sha256.",
        )


def _check_metrics(study: Study, found: index.Index) -> None:
    """Refuse what an experiment asks of real-valued tasks, or of levels, that aren't there."""
    real = [task.name for task in found.tasks if task.kind == "real"]
    levels = len(real) < len(found.tasks)
    for name, own in study.asked.trained.items():
        training = own["training"]
        if real and training["head"] == "pooled_autoencoder":
            raise UserError(
                f"config: experiments.{name}.head: pooled_autoencoder finds rare levels, and "
                f"{real[0]} is real-valued",
                f"Take another head, or give {real[0]} levels in dataset.tasks.",
            )
        _check_metric(f"experiments.{name}.select_by", training.get("select_by"), real, levels)
    for name, sweep in study.asked.sweeps.items():
        _check_metric(f"experiments.{name}.choose_by", sweep.choose_by, real, levels)


def _check_metric(key: str, metric: str | None, real: list[str], levels: bool) -> None:
    if metric == "ccc" and not real:
        raise UserError(
            f"config: {key}: ccc is of real-valued tasks, and there is none", "Take macro_f1."
        )
    if metric not in (None, "loss", "ccc") and not levels:
        raise UserError(
            f"config: {key}: {metric} is of tasks with levels, and there is none", "Take ccc."
        )


def _check_splits(study: Study, found: index.Index) -> None:
    for name in study.asked.sweeps:
        if not any(c.split == "validation" and c.status == "ok" for c in found.clips):
            raise UserError(
                f"config: experiments.{name}: a sweep chooses on the validation split, and no clip "
                "in it has a label",
                "Put some subjects' labelled clips in the validation split.",
            )
    subjects = len({clip.subject for clip in found.clips})
    for name in study.asked.folded:
        folds, _ = study.asked.dealt(name) or (0, 0)
        if folds > subjects:
            raise UserError(
                f"config: experiments.{name}.folds: {folds} folds of {subjects} subjects",
                "Set folds to at most the number of subjects.",
            )


def _check_labels(study: Study, found: index.Index) -> None:
    if not study.asked.trained:
        for line in coverage.without_videos(found):
            log.warning("warning: dataset: %s", line)
        return
    coverage.check_matches(found)
    folded = all(run["fold"] for run in study.asked.trained.values())
    coverage.check_trained(found, SPLITS if folded else ["train"])
    for line in coverage.warnings(found, folded):
        log.warning("warning: dataset: %s", line)


def failures(logs: Path, results: Path, began: Path) -> list[str]:
    """Return what went wrong since a run began, in words for people.

    Parameters
    ----------
    logs : Path
        Folder of log files, whose last error messages are returned.
    results : Path
        Folder of results. Of a damaged file in it nobody else tells once its job was tried again:
        then the file is merely missing.
    began : Path
        A file that was touched when the run began.
    """
    since = began.stat().st_mtime_ns
    messages = []
    for log in sorted(logs.rglob("*.log")):
        if log.stat().st_mtime_ns >= since:
            text = log.read_text(encoding="utf-8", errors="replace")
            start = text.rfind(f"\n{ERROR}") + 1 if f"\n{ERROR}" in text else 0
            if text.startswith(ERROR, start):
                messages.append(text[start:].strip())
    for aside in sorted(results.rglob(f"*{DAMAGED}")):
        # A file that is renamed keeps its time of writing; its entry is new.
        if aside.stat().st_ctime_ns >= since and not any(aside.name in said for said in messages):
            messages.append(str(moved_aside(aside)))
    return messages
