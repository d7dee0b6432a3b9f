"""A training job: files in, files out."""

from __future__ import annotations

import logging
from pathlib import Path

from affectflow.dataset.clips import read_clips
from affectflow.dataset.tasks import read_tasks
from affectflow.shards.embeddings import frame_counts, open_joined
from affectflow.temporal.settings import is_pooled
from affectflow.training.data import assemble, refuse_missing
from affectflow.training.experiment import read_experiment
from affectflow.training.finish import decisions_of, fit_and_finish, how_trained
from affectflow.training.fit import write_history
from affectflow.training.job import Job
from affectflow.training.learner import Learner
from affectflow.training.pooled import fit_pooled, predict_pooled
from affectflow.training.pooled_files import save_pooled
from affectflow.training.predict import DECIMALS, tabulate, write_predictions

log = logging.getLogger(__name__)


def train(embeddings: Path, job: Job) -> None:
    """Train one experiment and predict every clip.

    Parameters
    ----------
    embeddings : Path
        Joined embeddings.
    job : Job

    Raises
    ------
    UserError
        If the inputs are damaged or don't belong together, or there is nothing to train on.
    """
    known = read_tasks(job.tasks)
    experiment = read_experiment(job.training)
    table = read_clips(job.clips, known)
    with open_joined(embeddings) as joined:
        refuse_missing(table, joined[2], f"the shards that {embeddings} joins")
        counts = frame_counts(joined[0])
        chosen = experiment.frames, experiment.key_frames
        data = assemble(*joined, table, known, *chosen, counts=counts)
        log.info("%d clips of %d frames on %s", *data.mask.shape, job.device)
        if is_pooled(experiment.head):
            pooled, epochs = fit_pooled(data, known, experiment, seed=job.seed, threads=job.threads)
            probabilities = predict_pooled(pooled, data, DECIMALS, job.threads)
            modes = ["mode"] * len(known)
            decisions = decisions_of(probabilities, data, known, experiment, modes, job.seed)
            trained = how_trained(experiment, job.seed, best_epoch=1)
            save_pooled(pooled, job.model, job.description, decisions, trained)
            write_history(epochs, job.history)
            write_predictions(tabulate(probabilities, data, known, decisions), job.predictions)
        else:
            fit_and_finish(data, known, experiment, job, Learner())
