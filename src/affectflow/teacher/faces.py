"""Read faces out of image files that come from anywhere.

Pillow decodes: unlike OpenCV it says when a file is cut short, where OpenCV paints the rest grey.
An image is turned as its EXIF data say, as a viewer (and so an annotator) saw it.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from affectflow.errors import UserError
from affectflow.faces.crop import crop

# Only these decoders see the bytes of strangers.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")
MOST_PIXELS = 80_000_000
ORIENTATION = 0x0112  # of EXIF

Box = tuple[float, float, float, float]


class Face(NamedTuple):
    """Where a face is.

    Attributes
    ----------
    path : Path
        An image file.
    box : tuple of float or None
        x0, y0, x1, y1, relative to the image's width and height (0..1); None: the whole image.
    """

    path: Path
    box: Box | None


class Finding(NamedTuple):
    """What is known of an image file: its size (width, height) in px, or why it is no use."""

    size: tuple[int, int] | None
    fault: str
    missing: bool = False


def read_face(face: Face, size: int) -> NDArray[np.uint8]:
    """Cut a face out of its image.

    The box is cut at the image's edges and resized to a square, as the pipeline's own crops are
    (`affectflow.faces.crop`), so what a network learns on is shaped as what it will see.

    Parameters
    ----------
    face : Face
    size : int
        Side of the crop, px.

    Returns
    -------
    numpy.ndarray
        (size, size, 3) uint8 RGB. A network takes it as float32 (3, size, size), standardised by
        its own `preprocess`.

    Raises
    ------
    UserError
        If the file is missing or no whole image, or the box lies outside of it.
    """
    try:
        image = _decode(face.path)
    except Exception as error:
        raise UserError(
            f"{face.path}: {_reason(error)}",
            "Make the audit of the images anew: it leaves out what can't be read.",
        ) from error
    height, width = image.shape[:2]
    box = usable_box(face.box) if face.box else (0.0, 0.0, 1.0, 1.0)
    if box is None:
        raise UserError(
            f"{face.path}: the face's box {face.box} is not in the image",
            "Boxes are x0, y0, x1, y1, parts of the image's width and height.",
        )
    return crop(image, np.array(box) * (width, height, width, height), size)


def usable_box(box: Box) -> Box | None:
    """Return a relative box cut at the image's edges, or None where nothing is left of it."""
    if not all(map(math.isfinite, box)):
        return None
    x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in box)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def examine(path: Path, decode: bool = True) -> Finding:
    """Open an image file and say what is wrong with it, if anything.

    Parameters
    ----------
    path : Path
    decode : bool
        Whether to decode all of it, which alone tells a file that is cut short. Otherwise only
        its header is read.
    """
    try:
        if decode:
            height, width = _decode(path).shape[:2]
            return Finding((width, height), "")
        with _open(path) as image:
            return Finding(_turned_size(image), "")
    except FileNotFoundError:
        return Finding(None, "no such file", missing=True)
    except Exception as error:
        return Finding(None, _reason(error))


def fault_of(data: bytes) -> str | None:
    """Return why the bytes of a file are no whole image, or None."""
    try:
        _decode(io.BytesIO(data))
    except Exception as error:
        return _reason(error)
    return None


def _open(source: Path | io.BytesIO) -> Image.Image:
    image = Image.open(source, formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise ValueError(f"has {image.width} x {image.height} pixels, more than a photo has")
    return image


def _decode(source: Path | io.BytesIO) -> NDArray[np.uint8]:
    # Decoders fail on broken files in every way: OSError, SyntaxError, struct.error, ...
    with _open(source) as image:
        # Both steps copy the image, and most need neither.
        upright = image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
        return np.asarray(upright if upright.mode == "RGB" else upright.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    return image.getexif().get(ORIENTATION, 1)


def _turned_size(image: Image.Image) -> tuple[int, int]:
    lies = _orientation(image) in (5, 6, 7, 8)
    return (image.height, image.width) if lies else image.size


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    if type(error).__name__ == "UnidentifiedImageError":
        return "is no image"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
