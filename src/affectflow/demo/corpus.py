"""Write the demo corpus in DAiSEE's layout."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from affectflow.dataset import about
from affectflow.demo.performance import perform
from affectflow.demo.plan import Clip, Quirk, plan_corpus
from affectflow.demo.portrait import Image, Layers, cut_layers
from affectflow.demo.subject import HEIGHT, WIDTH, Subject, hold_book
from affectflow.errors import UserError

FPS = 30
FRAMES = 300
HOLD = 3  # a webcam in a dim room repeats frames
BIT_RATE = 700_000
README = """A demo corpus of generated videos, seed {seed}, in DAiSEE's layout.

Nobody took part: every face is scikit-image's public-domain portrait of an astronaut, warped and
recoloured, and the labels are what the drawn faces were told to act. Accuracy measured here says
that a pipeline works, and nothing about students.
"""
ABOUT = """Nobody took part: every face is one public-domain portrait, warped and recoloured.
The labels are what the drawn faces were told to act: numbers here say nothing about people.
"""
HEADER = "ClipID,Boredom,Engagement,Confusion,Frustration "


def generate(root: Path, seed: int = 1, workers: int | None = None) -> None:
    """Write a small corpus in DAiSEE's exact layout, with its quirks.

    Everyone in it is scikit-image's public-domain portrait, warped and recoloured, with levels
    planted in the face's movements. A demo corpus that is there already is replaced once the new
    one is complete.

    Parameters
    ----------
    root : Path
        Folder that will hold ``DataSet`` and ``Labels``.
    seed : int
        The same seed and library versions give the same files.
    workers : int, optional
        Processes to use; one per core by default.

    Raises
    ------
    UserError
        If `root` holds anything but a demo corpus.
    """
    write_corpus(plan_corpus(seed), Path(root), seed, workers)


def write_corpus(
    clips: Sequence[Clip],
    root: Path,
    seed: int = 1,
    workers: int | None = None,
    frames: int = FRAMES,
) -> None:
    """Write planned clips of so many frames and their labels; otherwise as `generate`."""
    # a real DAiSEE has the same folders: replace only what says that it is generated
    if root.exists() and any(root.iterdir()) and not _is_demo(root):
        raise UserError(
            f"{root} holds something that is not a demo corpus.",
            "Name another folder, or empty this one.",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = root.with_name(f".{root.name}-{os.getpid()}")
    unfinished.mkdir()
    try:
        (unfinished / "README.txt").write_text(README.format(seed=seed), encoding="ascii")
        (unfinished / about.FILE).write_text(ABOUT, encoding="ascii")
        _write_labels(clips, unfinished / "Labels")
        filmed = [clip for clip in clips if clip.quirk is not Quirk.NO_VIDEO]
        paths = [unfinished / "DataSet" / clip.folder / clip.name for clip in filmed]
        # a forked child would inherit locks that torch's or cv2's threads hold in the parent
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            write = partial(_write_clip, seed=seed, frames=frames)
            list(pool.map(write, filmed, paths, chunksize=2))
        if root.exists():
            shutil.rmtree(root)
        unfinished.rename(root)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def film(clip: Clip, seed: int = 1, frames: int = FRAMES) -> Iterator[Image]:
    """Draw one clip.

    Parameters
    ----------
    clip : Clip
        Who, with which levels, and what is wrong.
    seed : int
        The corpus's seed.
    frames : int
        How many to draw, at 30 per second.

    Yields
    ------
    uint8 array, shape (480, 640, 3)
        RGB; `HOLD` frames in a row are the same.
    """
    subject = _subject(clip.subject, seed)
    rng = np.random.default_rng([seed, int(clip.stem)])
    seat = subject.take_seat(rng)
    backdrop, room = subject.backdrop(seat), subject.empty_room()
    grain = rng.normal(0, subject.noise, (4, HEIGHT, WIDTH, 1)).astype(np.int16).repeat(3, axis=3)
    moments = -(-frames // HOLD)
    amiss = range(moments // 3, 2 * moments // 3)
    for moment, (expression, pose) in enumerate(perform(clip.levels, moments, frames / FPS, rng)):
        if clip.quirk is Quirk.LEAVES and moment in amiss:
            frame = room
        else:
            frame = subject.place(subject.face.express(expression), backdrop, seat, pose)
        if clip.quirk is Quirk.HIDES and moment in amiss:
            frame = hold_book(frame, seat)
        noisy = cv2.add(frame, grain[moment % len(grain)], dtype=cv2.CV_8U)
        for _ in range(min(HOLD, frames - moment * HOLD)):
            yield np.asarray(noisy, np.uint8)


def _is_demo(root: Path) -> bool:
    readme, first_words = root / "README.txt", README.partition(",")[0]
    return readme.is_file() and readme.read_text(errors="replace").startswith(first_words)


@cache
def _layers() -> Layers:
    return cut_layers()


@cache
def _subject(subject: str, seed: int) -> Subject:
    return Subject(_layers(), np.random.default_rng([seed, int(subject)]))


def _write_clip(clip: Clip, path: Path, seed: int, frames: int) -> None:
    cv2.setNumThreads(1)
    path.parent.mkdir(parents=True)
    if clip.quirk is Quirk.EMPTY:
        path.touch()
        return
    write_video(path, film(clip, seed, frames))
    if clip.quirk is Quirk.CUT:
        os.truncate(path, path.stat().st_size // 3)


def write_video(path: Path, frames: Iterable[Image]) -> None:
    """Encode RGB frames as DAiSEE has them: XVID in AVI, H.264 in MP4."""
    codec = "mpeg4" if path.suffix == ".avi" or "libx264" not in av.codecs_available else "libx264"
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=FPS, options=options))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = BIT_RATE
        stream.thread_count = 1
        if path.suffix == ".avi":
            stream.codec_context.codec_tag = "XVID"
        for image in frames:
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())


def _write_labels(clips: Sequence[Clip], folder: Path) -> None:
    folder.mkdir(parents=True)
    rows: dict[str, list[str]] = {"Train": [], "Validation": [], "Test": [], "All": []}
    for clip in clips:
        if clip.quirk is Quirk.NO_LABEL:
            continue
        at = clip.levels
        row = f"{clip.name},{at.boredom},{at.engagement},{at.confusion},{at.frustration}"
        rows[clip.split].append(row)
        if clip.quirk is not Quirk.NOT_IN_ALL:
            rows["All"].append(row)
    for name, lines in rows.items():
        text = "\n".join([HEADER, *lines]) + "\n"
        (folder / f"{name}Labels.csv").write_text(text, encoding="ascii", newline="\n")
