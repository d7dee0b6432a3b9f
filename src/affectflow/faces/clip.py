"""The faces of a clip: found in every frame, one followed through, cut out.

Frames come as JPEG and are decoded anew in each pass, a few at a time, rather than kept: pixels
take some 20 times the room, and decoding a tenth of the time of detection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from affectflow import registry
from affectflow.ahead import ahead
from affectflow.errors import UserError
from affectflow.faces.between import Look, look_between, whole_looks
from affectflow.faces.crop import Align, crop, crop_aligned
from affectflow.faces.detection import Detections, Detector
from affectflow.video import jpeg

MEMORY = 64 * 2**20
"""Bytes of decoded frames that a detector is given at a time."""

SMALL = 0.1
"""Share of a clip's first looks with small faces only, above which it is searched closer."""


@dataclass(frozen=True, eq=False)
class ClipFaces:
    """One face per frame of a clip of n frames.

    Attributes
    ----------
    box : numpy.ndarray
        (n, 4) float32: x0, y0, x1, y1 px; zeros without a face.
    landmarks : numpy.ndarray
        (n, 5, 2) float32: x, y px; zeros without a face.
    score : numpy.ndarray
        (n,) float32 in 0..1; 0 without a face.
    face_count : numpy.ndarray
        (n,) int16: faces found in the frame, or in the next one that was searched whole.
    mask : numpy.ndarray
        (n,) bool: whether the frame has a face.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: np.ndarray
    face_count: np.ndarray
    mask: np.ndarray


def build_detectors(settings: Mapping[str, Any], device: str) -> list[Detector]:
    """Make the detectors that `find_faces` asks, the quickest first.

    Parameters
    ----------
    settings : mapping
        The config's section `faces`: ``detector``, a file in `detectors/`; ``min_size``, the
        smallest face looked for, px; ``fallback_size``, the same for clips in which that leaves
        faces unseen (missing or None: no second look); and the detector's own keys.
    device : str
        As torch names it.

    Raises
    ------
    UserError
        If there is no such detector.
    """
    build = registry.load("faces.detectors", settings["detector"]).build
    detectors = [build(settings, device)]
    fallback = settings.get("fallback_size")
    if fallback is not None and fallback < settings["min_size"]:
        detectors.append(build({**settings, "min_size": fallback}, device))
    return detectors


def find_faces(
    frames: Sequence[np.ndarray | bytes],
    detectors: Sequence[Detector],
    every: int = 1,
    decode: jpeg.Decode = jpeg.decode_each,
) -> ClipFaces:
    """Find the faces of a clip and follow one.

    The first detector sees every frame, or as many as `affectflow.faces.between` asks for. The
    next sees those without a face. Where it finds some, or a tenth of the first looks show only
    faces that the first is not sure to see, the people of this clip are small, and it sees the
    others too: the whole clip is searched alike, so that a face is followed rather than whichever
    is large enough.

    Parameters
    ----------
    frames : sequence
        JPEG files in order, each bytes or (k,) uint8.
    detectors : sequence of Detector
        Of `build_detectors`.
    every : int
        Frames from one look to the next where the clip is calm; 1: each is looked at.
    decode : callable
        As `affectflow.video.jpeg.decode_each`.
    """
    look = _looker(frames, detectors[0], decode)
    for detector, closer in pairwise(detectors):
        look_closer = _looker(frames, closer, decode)
        if not _are_small(look(whole_looks(len(frames), every), None), detector.smallest):
            found, counts = look_between(len(frames), every, look)
            if not any(map(len, look_closer(np.flatnonzero(counts == 0)[::every].tolist(), None))):
                break
        look = look_closer
    else:
        found, counts = look_between(len(frames), every, look)

    faces = ClipFaces(
        box=np.zeros((len(frames), 4), np.float32),
        landmarks=np.zeros((len(frames), 5, 2), np.float32),
        score=np.zeros(len(frames), np.float32),
        face_count=counts,
        mask=np.array([len(face) > 0 for face in found], bool),
    )
    for i in np.flatnonzero(faces.mask):
        faces.box[i] = found[i].boxes[0]
        faces.landmarks[i] = found[i].landmarks[0]
        faces.score[i] = found[i].scores[0]
    return faces


def iter_crops(
    frames: Sequence[np.ndarray | bytes],
    faces: ClipFaces,
    size: int = 224,
    margin: int = 0,
    align: Align = "box",
    decode: jpeg.Decode = jpeg.decode_each,
    threads: int = 0,
) -> Iterator[np.ndarray | None]:
    """Yield each frame's face crop, (size, size, 3) uint8 RGB, or None without a face.

    Parameters
    ----------
    frames : sequence
        The JPEG files that `faces` was found in.
    faces : ClipFaces
    size, margin : int
        Side of the crop, and surroundings in it, px.
    align : str
        ``box``: the box, resized; ``landmarks``: eyes, nose and mouth at fixed places.
    decode : callable
        As `affectflow.video.jpeg.decode_each`.
    threads : int
        CPU threads that cut the next ones meanwhile; 0: each is cut when it is asked for.

    Raises
    ------
    UserError
        If the margin leaves no room for the face.
    """
    if not 0 <= margin < size:
        raise UserError(f"faces.margin: {margin} px of a crop of {size} px leave no face")

    def cut(item: tuple[int, np.ndarray]) -> np.ndarray:
        i, image = item
        if align == "landmarks":
            return crop_aligned(image, faces.landmarks[i], size, margin)
        return crop(image, faces.box[i], size, margin)

    places = np.flatnonzero(faces.mask).tolist()
    images = decode(frames[i] for i in places)
    crops = ahead(cut, zip(places, images, strict=True), threads, 2 * threads)
    for there in faces.mask:
        yield next(crops) if there else None


def _are_small(found: Sequence[Detections], smallest: float) -> bool:
    largest = [np.ptp(faces.boxes.reshape(-1, 2, 2), axis=1).max() for faces in found if len(faces)]
    return sum(side < smallest for side in largest) > SMALL * len(found)


def _looker(frames: Sequence[np.ndarray | bytes], detector: Detector, decode: jpeg.Decode) -> Look:
    """Return what finds faces at places of a clip, and looks at the whole of none twice."""
    seen: dict[int, Detections] = {}

    def look(places: Sequence[int], near: Sequence[np.ndarray] | None) -> list[Detections]:
        if near is not None:
            return _detect((frames[place] for place in places), detector, decode, near)
        new = [place for place in places if place not in seen]
        found = _detect((frames[place] for place in new), detector, decode)
        seen.update(zip(new, found, strict=True))
        return [seen[place] for place in places]

    return look


def _detect(
    frames: Iterable[np.ndarray | bytes],
    detector: Detector,
    decode: jpeg.Decode,
    near: Sequence[np.ndarray] | None = None,
) -> list[Detections]:
    found: list[Detections] = []
    images: list[np.ndarray] = []

    def detect() -> None:
        own = None if near is None else near[len(found) : len(found) + len(images)]
        found.extend(detector.detect(images, own))
        images.clear()

    for image in decode(frames):
        images.append(image)
        if sum(image.nbytes for image in images) >= MEMORY:
            detect()
    detect()
    return found
