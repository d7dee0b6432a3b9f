"""Images of the portrait as a data set of faces has them: one face, its box, light and grain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from affectflow.demo.portrait import CENTRE, Image, Layers, cut_layers
from affectflow.demo.portrayals import LOOKS_STREAM, NON_FACE, Portrayal
from affectflow.demo.subject import Seat, Subject

JPEG_QUALITY = 92
Box = tuple[int, int, int, int]  # left, top, width, height in pixels
Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class Framing:
    """How a camera takes a portrait; lengths in pixels of the photograph that it is made from.

    Attributes
    ----------
    width, height : float
        Of what the image shows.
    wander : float
        How far from the middle the face may be, either way.
    """

    width: float
    height: float
    wander: float


CLOSE = Framing(136, 136, 3)  # AffectNet's images are of one face each
WIDE = Framing(200, 150, 18)  # FEC's are photographs with faces in them
FACE_SIDE = 114.0  # the box, square as a detector's with some margin
FACE_MIDDLE = (224.0, 126.0)


def take(portrayal: Portrayal, framing: Framing, seed: int, side: int) -> tuple[Image, Box]:
    """Take one image.

    Parameters
    ----------
    portrayal : Portrayal
        Who, with which face.
    framing : Framing
        `CLOSE` or `WIDE`.
    seed : int
        Of the data sets.
    side : int
        Pixels that ``CLOSE.height`` becomes.

    Returns
    -------
    uint8 array, shape (H, W, 3)
        RGB.
    (x, y, width, height) : int
        Box of the face in pixels.
    """
    subject, seat, backdrop = _sitter(portrayal.identity, seed)
    rng = np.random.default_rng([seed, portrayal.identity, portrayal.number])
    if portrayal.expression == NON_FACE:
        frame = subject.empty_room()
    else:
        head = subject.face.express(portrayal.face)
        frame = subject.place(head, backdrop, seat, portrayal.pose)
    scale = side / CLOSE.height
    width, height = round(framing.width * scale), round(framing.height * scale)
    x, y = (np.array(FACE_MIDDLE) - CENTRE) * seat.zoom + (seat.x, seat.y)
    face_x, face_y = np.array((width, height)) / 2 + rng.uniform(-1, 1, 2) * framing.wander * scale
    zoom = scale / seat.zoom
    # an average over pixels where the frame shrinks, or fine lines would break up
    frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), max(0.3, 0.4 / zoom)), np.uint8)
    shift = np.array([[zoom, 0, face_x - zoom * x], [0, zoom, face_y - zoom * y]])
    image = cv2.warpAffine(frame, shift, (width, height), borderMode=cv2.BORDER_REFLECT)
    box = face_x - FACE_SIDE * scale / 2, face_y - FACE_SIDE * scale / 2
    left, top = round(float(box[0])), round(float(box[1]))
    face = round(FACE_SIDE * scale)
    return _light(image, rng), (left, top, face, face)


def _light(image: np.ndarray, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    across, down = rng.uniform(-0.12, 0.12, 2)
    light = rng.uniform(0.85, 1.15) * (1 + across * xs + down * ys)
    noise = rng.normal(0, rng.uniform(1, 4), (height, width))
    lit = image * light[..., None] + noise[..., None]
    return np.clip(lit, 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _layers() -> Layers:
    return cut_layers()


# a process takes one identity's images after another's, and its backdrop is costly
@lru_cache(maxsize=1)
def _sitter(identity: int, seed: int) -> tuple[Subject, Seat, Image]:
    rng = np.random.default_rng([seed, identity, LOOKS_STREAM])
    subject = Subject(_layers(), rng)
    seat = subject.take_seat(rng)
    return subject, seat, subject.backdrop(seat)


def write_images(
    images: Iterable[Portrayal],
    folder: Path,
    framing: Framing,
    seed: int,
    side: int,
    pool: ProcessPoolExecutor,
) -> dict[str, tuple[Box, Size]]:
    """Write JPEG files; return the face's box and the image's width and height, by name."""
    folder.mkdir(parents=True)
    groups = [list(group) for _, group in groupby(images, key=lambda image: image.identity)]
    write = partial(_write_identity, folder=folder, framing=framing, seed=seed, side=side)
    return {name: found for part in pool.map(write, groups) for name, found in part.items()}


def _write_identity(
    images: Sequence[Portrayal], folder: Path, framing: Framing, seed: int, side: int
) -> dict[str, tuple[Box, Size]]:
    cv2.setNumThreads(1)
    found = {}
    for portrayal in images:
        image, box = take(portrayal, framing, seed, side)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (folder / portrayal.name).write_bytes(code.tobytes())
        found[portrayal.name] = box, (image.shape[1], image.shape[0])
    return found
