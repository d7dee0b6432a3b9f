"""A training job that tunes a backbone: files in, files out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from affectflow.backbones.weights import backbone as find
from affectflow.backbones.weights import load
from affectflow.dataset.clips import read_clips
from affectflow.dataset.tasks import read_tasks
from affectflow.devices import reproducible
from affectflow.errors import UserError
from affectflow.provenance.content import sha256
from affectflow.training.crops import Untuned, open_crops
from affectflow.training.data import assemble, refuse_missing
from affectflow.training.experiment import read_experiment
from affectflow.training.finish import fit_and_finish
from affectflow.training.job import Job
from affectflow.training.tuner import Tuner

log = logging.getLogger(__name__)


def fine_tune(faces: Sequence[Path], backbone: str, weights: Path, job: Job) -> None:
    """Train one experiment together with its backbone, and predict every clip.

    The standardiser, `feature_alpha` and `key_frames` go by the embeddings of the untuned
    backbone, as for an experiment that does not tune it.

    Parameters
    ----------
    faces : sequence of Path
        All shards of faces.
    backbone : str
    weights : Path
        What it starts from, as `affectflow.backbones.weights.prepare` wrote it.
    job : Job
        `fine_tune` is among the keys of its `training`.

    Raises
    ------
    UserError
        If the inputs are damaged or don't belong together, there is nothing to train on, or the
        experiment tunes nothing.
    """
    known = read_tasks(job.tasks)
    experiment = read_experiment(job.training)
    if experiment.fine_tune is None:
        raise UserError("fine_tune is not set", "Set it to last or all, or run train.py.")
    table = read_clips(job.clips, known)
    spec, network = find(backbone), load(backbone, weights, job.device)
    with open_crops(faces) as (crops, seals):
        refuse_missing(table, crops.clip_id, "the shards of faces")
        source = Untuned(crops, spec, network, job.device, [sha256(weights), *seals])
        with reproducible(job.threads):
            data = assemble(
                source, crops.mask, crops.clip_id, table, known,
                experiment.frames, experiment.key_frames, counts=crops.counts,
            )  # fmt: skip
        log.info("%d clips of %d frames on %s", *data.mask.shape, job.device)
        log.info("%d crops, read from %d shards", data.mask.sum(), len(faces))
        fit_and_finish(data, known, experiment, job, Tuner(network, backbone))
    job.checkpoint.unlink(missing_ok=True)
