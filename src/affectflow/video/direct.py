"""From videos to their frames without a file between: for who looks at them at once."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from affectflow.ahead import ahead
from affectflow.errors import UserError
from affectflow.shards.frames import Frames
from affectflow.video import jpeg
from affectflow.video.decode import read_frames
from affectflow.video.extract import check_root
from affectflow.video.sampling import Sampling

log = logging.getLogger(__name__)

ROOM = 384 * 2**20
"""Bytes that a clip's pixels may take: 400 frames of 640x480. Of more, JPEG files are kept."""

KEPT = 1000
"""JPEG files that may be in memory. More lie on disk, where temporary files do."""


def iter_clips(
    videos: Sequence[tuple[str, str]], root: Path, settings: Mapping[str, Any], threads: int = 0
) -> Iterator[Frames]:
    """Yield the sampled frames of videos, a clip at a time.

    As `affectflow.video.extract.extract_shard` keeps them, but for pixels in place of JPEG files.

    Parameters
    ----------
    videos : sequence of (str, str)
        Clip ids, and paths from `root`.
    root : Path
    settings : mapping
        `frames` of the config.
    threads : int
        CPU threads that decode the next clips meanwhile; 0: each is decoded when it is asked for.

    Raises
    ------
    UserError
        If `root` is not there, or a video changes while it is read.
    """
    check_root(root)
    sampling = Sampling.from_settings(settings)
    quality = settings.get("jpeg_quality", jpeg.QUALITY)

    def keep(images: Iterable[np.ndarray], frames: int) -> Iterator[np.ndarray]:
        for image in images:
            fits = frames <= KEPT and frames * image.nbytes <= ROOM
            yield image if fits else jpeg.encode(image, quality)

    def read(video: tuple[str, str]) -> Frames:
        clip_id, path = video
        plan, images = read_frames(root / path, sampling, keep, KEPT)
        if plan.status != "ok":
            log.info("%s: %s: %s", path, plan.status, plan.detail)
        said = clip_id, plan.status, plan.detail, plan.frame_index, plan.time
        few = len(plan.frame_index) <= KEPT
        return Frames(*said, [*images] if few else FilesOnDisk(images))

    yield from ahead(read, videos, threads, threads)


class FilesOnDisk(Sequence[np.ndarray]):
    """JPEG files in one temporary file, which has no name and goes when nobody holds it any more.

    Parameters
    ----------
    files : iterable of numpy.ndarray
        (bytes,) uint8 each, taken one by one.

    Raises
    ------
    UserError
        If the disk of temporary files is full, or there is none.
    """

    def __init__(self, files: Iterable[np.ndarray]) -> None:
        self.ends = [0]
        with _told():
            self.file = TemporaryFile(buffering=0)  # noqa: SIM115
        for file in files:
            rest = memoryview(file.tobytes())
            with _told():
                while rest:
                    rest = rest[os.write(self.file.fileno(), rest) :]
            self.ends.append(self.ends[-1] + len(file))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, i: Any) -> Any:
        """Read the i-th JPEG file, (bytes,) uint8."""
        if not 0 <= i < len(self):
            raise IndexError(i)
        size = self.ends[i + 1] - self.ends[i]
        # At a place of its own: several threads may read.
        return np.frombuffer(os.pread(self.file.fileno(), size, self.ends[i]), np.uint8)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"temporary files (TMPDIR is {os.environ.get('TMPDIR', 'not set')}): {error.strerror}",
            "A clip with many frames needs room there: free some, set TMPDIR to a folder on "
            "another disk (on a cluster tmpdir in the profile), or set frames.on_disk: true.",
        ) from error
