"""One training of the teacher, from the index to its files: the same here and on a cluster."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectflow.devices import choose
from affectflow.errors import UserError
from affectflow.provenance.atomic import write_text
from affectflow.provenance.content import digest, sha256
from affectflow.teacher.distributed import joined
from affectflow.teacher.faces import read_face
from affectflow.teacher.files import FILES, write_teacher
from affectflow.teacher.index import index_digest, read_index
from affectflow.teacher.settings import read_settings
from affectflow.teacher.training import train_teacher

log = logging.getLogger(__name__)

CHECKPOINT, FINISHED = "checkpoint.pt", "request.digest"


@dataclass(frozen=True)
class Request:
    """What is trained.

    Attributes
    ----------
    index : Path
        The folder of `affectflow.teacher.index.write_index`.
    base : Path or None
        Weights of ``inception_resnet_v1``, as `affectflow.backbones.weights.prepare` wrote them.
    settings : mapping
        Keys of `affectflow.teacher.settings.SETTINGS`.
    device : str
        As `affectflow.devices.choose` takes it.
    threads, workers : int
        Of each process: threads that compute, and that read faces.
    code : str
        Digest of the code.
    """

    index: Path
    base: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    threads: int = 1
    workers: int = 2
    code: str = ""

    def digest(self) -> str:
        """Return what decides the result: contents, not where the files lie."""
        base = sha256(self.base) if self.base else "random"
        settings = read_settings(self.settings).keys()
        del settings["checkpoint_steps"]
        return digest([index_digest(self.index), base, settings, self.threads, self.code])


def is_finished(digest: str, folder: Path) -> bool:
    """Return whether a folder holds what the request of this digest gives."""
    whole = all((folder / name).is_file() for name in (*FILES, FINISHED))
    return whole and (folder / FINISHED).read_text(encoding="utf-8").strip() == digest


def train(request: Request, digest: str, folder: Path) -> None:
    """Train, alone or as one of the processes that the environment tells of, and write the files.

    Parameters
    ----------
    request : Request
    digest : str
        The request's, when it was made: a job may begin, or begin again, long after.
    folder : Path
        On a disk that all processes see: the checkpoint lies there, and at the end the files of
        `affectflow.teacher.files.write_teacher`.

    Raises
    ------
    UserError
        If what is trained on changed since. See `affectflow.teacher.training.train_teacher`, too.
    """
    if request.digest() != digest:
        raise UserError(
            f"{request.index}: changed since this training was asked for",
            "Give the same command again: it trains on what is there now.",
        )
    settings = read_settings(request.settings)
    with joined(choose(request.device)) as group:
        # A job that was requeued when it had just finished.
        if group.same({"finished": is_finished(digest, folder)})["finished"]:
            log.info("%s: is finished", folder)
            return
        log.info("process %d of %d on %s", group.rank + 1, group.world, group.device)
        data = read_index(request.index)
        trained = train_teacher(
            data,
            settings,
            folder / CHECKPOINT,
            read=read_face,
            group=group,
            base=request.base,
            threads=request.threads,
            workers=request.workers,
            identity=digest,
        )
        if group.first:
            (folder / FINISHED).unlink(missing_ok=True)
            write_teacher(folder, trained, settings)
            write_text(folder / FINISHED, digest + "\n")
            (folder / CHECKPOINT).unlink(missing_ok=True)
        group.wait()
