"""What each job looks at, in frames, and writes, in bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from affectflow.config.study import Study
from affectflow.dataset.index import Index
from affectflow.joblog import JobLog
from affectflow.planning import sizes
from affectflow.planning.disk import size_of
from affectflow.planning.jobs import BY_EPOCHS, EMBED, FACES, FRAMES, TRAIN_POOLED, TUNE, Job
from affectflow.planning.work import ShardWork, Work

FACES_FILE = "results/faces/shard-{:03d}.h5"
HISTORY_FILE = "results/experiments/{}/history.csv"
ENOUGH_FACES = 100


@dataclass(frozen=True)
class Needs:
    """What the jobs of a study need.

    Attributes
    ----------
    study : Study
    index : Index
    work : Work
    face_bytes : float
        Of a face crop.
    """

    study: Study
    index: Index
    work: Work
    face_bytes: float

    def frames(self, job: Job) -> float:
        """Return the frames that a job of a stage looks at."""
        if job.rule in BY_EPOCHS:
            name = job.wildcards["experiment"]
            return self._epoch(name) * self._training(name).get("epochs", 1)
        shard = self._shard(job)
        return shard.faces if job.rule == EMBED else shard.frames

    def bytes(self, job: Job) -> float:
        """Return the bytes that a job writes."""
        clips, small = self.work.clips, sizes.SMALL_BYTES
        if job.rule == FRAMES:
            shard = self._shard(job)
            return sizes.shard_bytes(shard.clips, shard.frames * self.frame_bytes)
        if job.rule == FACES:
            shard = self._shard(job)
            rows = shard.frames * sizes.FACE_ROW
            return sizes.shard_bytes(shard.clips, rows + shard.faces * self.face_bytes)
        if job.rule == EMBED:
            shard, each = self._shard(job), sizes.embedding_bytes(job.wildcards["backbone"])
            return sizes.shard_bytes(shard.clips, shard.frames * each)
        if job.rule in (*BY_EPOCHS, TRAIN_POOLED):
            rows = clips * len(self.index.tasks)
            model = sizes.MODEL_BYTES + self._backbone_bytes(job)
            return model + rows * sizes.PREDICTION_BYTES
        if job.rule == "weights":
            name = job.wildcards["backbone"]
            return sizes.weights_bytes(name, self.study.backbones[name])
        if job.rule in ("index_dataset", "audit", "join"):
            return small + clips * sizes.INDEX_BYTES
        if job.rule == "report":
            figures = 5 + 2 * len(self.study.backbones) + 3 * len(self.study.experiments)
            return sizes.REPORT_BYTES + figures * small
        return small if job.outputs else 0.0

    @property
    def frame_bytes(self) -> float:
        """Bytes of a temporary frame."""
        return sizes.frame_bytes(self.study.settings["frames"].get("jpeg_quality", 95))

    def training_logs(
        self, logs: Mapping[str, JobLog], jobs: Iterable[Job], folder: Path
    ) -> dict[str, JobLog]:
        """Return the logs of experiments that are up to date, with frames, rate and device."""
        left = {job.wildcards["experiment"] for job in jobs if job.rule in BY_EPOCHS}
        complete = {}
        for name in logs.keys() & self.study.experiments.keys() - left:
            history = folder / HISTORY_FILE.format(name)
            epochs = len(history.read_text().splitlines()) - 1 if history.is_file() else 0
            frames, log = int(self._epoch(name) * epochs), logs[name]
            complete[name] = replace(
                log,
                frames=frames,
                frames_per_s=frames / max(log.seconds, 1e-3),
                device="cpu" if log.gpu_mib is None else "cuda",
            )
        return complete

    def _shard(self, job: Job) -> ShardWork:
        shard = job.wildcards["shard"]
        shards = self.study.embedding_shards[shard] if job.rule == EMBED else [shard]
        return reduce(add, (self.work.shards[int(each)] for each in shards))

    def _backbone_bytes(self, job: Job) -> float:
        """Return the bytes of the backbone that a model holds, if it was tuned."""
        if job.rule != TUNE:
            return 0.0
        name = self.study.experiments[job.wildcards["experiment"]]["backbone"]
        return sizes.weights_bytes(name, self.study.backbones[name])

    def _training(self, experiment: str) -> Mapping[str, Any]:
        own: Mapping[str, Any] = self.study.experiments[experiment]["training"]
        return own

    def _epoch(self, experiment: str) -> float:
        """Return the frames of one epoch: those of the labelled clips that are not for testing."""
        training, fold = self._training(experiment), self.study.experiments[experiment].get("fold")
        labelled = Counter(clip.split for clip in self.index.clips if clip.status == "ok")
        if fold:  # one of its folds is for testing, one validates
            part = labelled.total() // fold[1]
            labelled = Counter(train=labelled.total() - 2 * part, validation=part)
        train = min(training.get("train_clips") or labelled["train"], labelled["train"])
        each = training["frames"] or self.work.frames / max(self.work.clips, 1)
        return (train + labelled["validation"]) * each


def bytes_per_face(crop_size: int, work: Work, done: Collection[int], folder: Path) -> float:
    """Return the bytes of a face crop: as in the finished shards, if they hold a fair number.

    Parameters
    ----------
    crop_size : int
        Side of the crops, pixels.
    work : Work
    done : collection of int
        The finished shards.
    folder : Path
        The study's.
    """
    shards = [work.shards[shard] for shard in done]
    faces = sum(shard.faces for shard in shards)
    if faces < ENOUGH_FACES:
        return sizes.crop_bytes(crop_size)
    size = sum(size_of(folder / FACES_FILE.format(shard)) for shard in done)
    rest = sum(sizes.shard_bytes(s.clips, s.frames * sizes.FACE_ROW) for s in shards)
    return max(size - rest, 0.0) / faces
