"""The one face of the demo corpus: scikit-image's portrait, made to move.

``skimage.data.astronaut()`` is a public-domain NASA photograph that comes inside scikit-image's
wheel, so nothing is downloaded. Coordinates below are pixels of that photograph; the textures are
``SCALE`` times finer and start at ``ORIGIN``.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

Image = NDArray[np.uint8]
Field = NDArray[np.float32]

ORIGIN = (118.0, 0.0)
SIZE = (210, 220)
SCALE = 2.0
CENTRE = (224.0, 110.0)
EYES = ((203.5, 100.5), (247.5, 103.0))
BROWS = ((201.0, 91.0), (249.0, 93.0))
MOUTH = (223.5, 140.5)
MOUTH_HALF_WIDTH = 23.0
SMILE_GAP = 8.5
CHIN = 178.0

HEAD_OUTLINE = (
    (153, 75), (156, 60), (164, 50), (178, 42), (188, 37), (198, 27), (212, 21), (226, 18),
    (241, 18), (258, 23), (275, 33), (286, 43), (293, 60), (296, 80), (299, 92), (295, 105),
    (287, 118), (277, 126), (274, 132), (268, 135), (265, 142), (259, 157), (251, 168), (240, 176),
    (226, 179), (212, 177), (200, 172), (191, 162), (186, 150), (182, 131), (177, 129), (171, 119),
    (158, 106), (154, 95),
)  # fmt: skip
SKIN_OUTLINE = (
    (184, 86), (194, 81), (220, 81), (235, 86), (250, 91), (264, 93), (269, 100), (270, 122),
    (276, 124), (274, 132), (268, 136), (265, 143), (259, 158), (251, 169), (240, 178), (226, 181),
    (212, 179), (200, 174), (190, 163), (185, 150), (181, 131), (175, 130), (172, 119), (181, 121),
)  # fmt: skip
FACE_BOX = ((176, 74), (274, 214))  # all that an expression moves
EYE_BAND = ((176, 92), (274, 112))  # all that an eyelid reaches


@dataclass(frozen=True)
class Expression:
    """What a face does at one moment.

    Attributes
    ----------
    eyes : float
        0 is closed, 1 wide open.
    mouth : float
        0 is closed, 1 wide open.
    frown : float
        0 is relaxed; 1 pulls the inner brows down and the corners of the mouth with them.
    raised : float
        0 is relaxed; 1 lifts one brow.
    smile : float
        0 is relaxed; 1 draws the corners of the mouth up and apart, -1 down.
    brows : float
        0 is relaxed; 1 lifts both brows, -1 sinks them.
    worry : float
        0 is relaxed; 1 slants the brows, their inner ends up.
    sneer : float
        0 is relaxed; 1 wrinkles the nose and lifts the upper lip off the teeth.
    smirk : float
        0 is relaxed; 1 draws one corner of the mouth up and out.
    purse : float
        0 is relaxed; 1 narrows the mouth to an O, -1 stretches it.
    """

    eyes: float
    mouth: float
    frown: float
    raised: float
    smile: float = 0.0
    brows: float = 0.0
    worry: float = 0.0
    sneer: float = 0.0
    smirk: float = 0.0
    purse: float = 0.0


@dataclass(frozen=True)
class Layers:
    """The portrait cut into what a subject's appearance may change.

    Attributes
    ----------
    colour : float32 array, shape (H, W, 3)
        RGB in 0..1.
    head, skin, features : float32 arrays, shape (H, W)
        Soft masks in 0..1: the whole head, its bare skin, and the eyes and teeth within it.
    """

    colour: Field
    head: Field
    skin: Field
    features: Field


def texture_xy(points: object) -> NDArray[np.float64]:
    """Photograph pixels to texture pixels; any array whose last axis is (x, y)."""
    return (np.asarray(points, dtype=np.float64) - ORIGIN) * SCALE


def soften(image: Field, radius: float) -> Field:
    """Gaussian blur; `radius` in pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), radius), np.float32)


def _soft_polygon(outline: object, shape: tuple[int, int], blur: float) -> Field:
    mask = np.zeros(shape, np.float32)
    cv2.fillPoly(mask, [np.round(texture_xy(outline)).astype(np.int32)], 1.0)
    return soften(mask, blur)


def cut_layers() -> Layers:
    """Cut the portrait into layers.

    Returns
    -------
    Layers
        At ``SCALE`` times the photograph's resolution.
    """
    width, height = SIZE
    x0, y0 = (int(value) for value in ORIGIN)
    photo = data.astronaut()[y0 : y0 + height, x0 : x0 + width]
    size = (int(width * SCALE), int(height * SCALE))
    colour = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    shape = colour.shape[:2]
    features = np.zeros(shape, np.float32)
    for eye in EYES:
        cv2.ellipse(features, _ellipse(eye, (9.5, 4.0)), 1.0, -1)
    cv2.ellipse(features, _ellipse((MOUTH[0], MOUTH[1] + 3.5), (16.0, 3.5)), 1.0, -1)
    return Layers(
        colour,
        _soft_polygon(HEAD_OUTLINE, shape, 2.0),
        _soft_polygon(SKIN_OUTLINE, shape, 3.0),
        soften(features, 1.5),
    )


def _ellipse(
    centre: tuple[float, float], radii: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float], float]:
    x, y = texture_xy(centre)
    return (float(x), float(y)), (radii[0] * 2 * SCALE, radii[1] * 2 * SCALE), 0.0


def _slices(box: tuple[tuple[int, int], tuple[int, int]]) -> tuple[slice, slice]:
    (left, top), (right, bottom) = np.round(texture_xy(box)).astype(int)
    return slice(top, bottom), slice(left, right)


def _photo_grid(box: tuple[tuple[int, int], tuple[int, int]]) -> tuple[Field, Field]:
    ys, xs = np.mgrid[_slices(box)].astype(np.float32)
    return xs / SCALE + ORIGIN[0], ys / SCALE + ORIGIN[1]


def _bump(x: Field, y: Field, at: tuple[float, float], sx: float, sy: float) -> Field:
    return np.exp(-(((x - at[0]) / sx) ** 2) - ((y - at[1]) / sy) ** 2).astype(np.float32)


def _wrinkles(x: Field, y: Field) -> Field:
    """Folds across the root of the nose, and from its wings to the mouth's corners."""
    across = sum(_bump(x, y, (225.0, height), 8, 1.2) for height in (103.0, 107.5, 112.0))
    beside = np.abs(x - 224.0) - (14 + 0.5 * (y - 118))
    folds = np.exp(-((beside / 1.8) ** 2) - ((y - 127) / 10) ** 2)
    return np.asarray(across + folds, np.float32)


class Face:
    """A head that takes expressions.

    Parameters
    ----------
    texture : uint8 array, shape (H, W, 4)
        RGB and opacity of one subject's head, laid out as `cut_layers` lays it out.
    """

    def __init__(self, texture: Image) -> None:
        self.texture = texture
        self._face = _slices(FACE_BOX)
        self._band = _slices(EYE_BAND)
        self._x, self._y = _photo_grid(FACE_BOX)
        self._band_x, self._band_y = _photo_grid(EYE_BAND)
        self._shut_eyes = self._draw_shut_eyes()

    def _draw_shut_eyes(self) -> Image:
        mask = np.zeros(self.texture.shape[:2], np.uint8)
        for eye in EYES:
            cv2.ellipse(mask, _ellipse(eye, (13.0, 7.0)), 255, -1)
        rgb = np.ascontiguousarray(self.texture[..., :3])
        return np.asarray(cv2.inpaint(rgb, mask, 5, cv2.INPAINT_TELEA)[self._band], np.uint8)

    @cached_property
    def _fields(self) -> dict[str, Field]:
        x, y = self._x, self._y
        (lx, ly), (rx, ry) = BROWS
        eyes = [_bump(x, y, eye, 17, 11) for eye in EYES]
        return {
            "eyes_x": np.asarray(
                sum((x - ex) * near for (ex, _), near in zip(EYES, eyes, strict=True)), np.float32
            ),
            "eyes_y": np.asarray(
                sum((y - ey) * near for (_, ey), near in zip(EYES, eyes, strict=True)), np.float32
            ),
            "jaw": np.exp(-(((x - MOUTH[0]) / 38) ** 2)).astype(np.float32),
            "corners": _bump(x, y, (202.0, 140.0), 9, 9) + _bump(x, y, (245.0, 140.0), 9, 9),
            "inner": _bump(x, y, (lx + 9, ly), 11, 7) + _bump(x, y, (rx - 10, ry), 11, 7),
            "one": _bump(x, y, (lx, ly), 15, 7),
            "scowl": _bump(x, y, (225.0, 97.0), 40, 14),
            "crease": _bump(x, y, (220.5, 95), 1.3, 8) + _bump(x, y, (229.5, 95), 1.3, 8),
            "left_corner": _bump(x, y, (201.0, 140.0), 12, 12),
            "right_corner": _bump(x, y, (246.0, 140.0), 12, 12),
            "outer": _bump(x, y, (lx - 9, ly), 10, 8) + _bump(x, y, (rx + 9, ry), 10, 8),
            "both": _bump(x, y, (lx, ly), 20, 8) + _bump(x, y, (rx, ry), 20, 8),
            "upper_lip": _bump(x, y, (MOUTH[0], 135.0), 20, 7),
            "mouth": _bump(x, y, (MOUTH[0], 144.0), 32, 18),
            "nostrils": _bump(x, y, (212.0, 122.0), 9, 8) + _bump(x, y, (236.0, 122.0), 9, 8),
            "wrinkles": _wrinkles(x, y),
        }

    def express(self, expression: Expression) -> Image:
        """Render one expression.

        Returns
        -------
        uint8 array, shape (H, W, 4)
            The head's texture, changed inside the face only.
        """
        x, y, fields = self._x, self._y, self._fields
        texture = self.texture.copy()
        texture[self._band][..., :3] = self._draw_lids(expression.eyes)

        opening = expression.mouth * 34 + 1.5
        arch = self._arch(expression.purse)
        lips = MOUTH[1] + opening * arch
        below = np.clip((y - lips) / (CHIN - MOUTH[1]), 0, 1)
        drop = (opening - SMILE_GAP) * (arch * (1 - below) + 0.75 * fields["jaw"] * below)
        source_x = x - 0.6 * expression.eyes * fields["eyes_x"]
        source_y = y - np.where(y > lips, drop, 0) - 0.6 * expression.eyes * fields["eyes_y"]
        source_y -= expression.frown * (8 * fields["inner"] + 7 * fields["corners"])
        source_y += expression.raised * 6 * fields["one"]
        shift_x, shift_y = self._beyond_states(expression)
        source_x, source_y = source_x - shift_x, source_y - shift_y
        patch = cv2.remap(
            texture,
            ((source_x - ORIGIN[0]) * SCALE).astype(np.float32),
            ((source_y - ORIGIN[1]) * SCALE).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

        inside = np.clip(1.5 * (y - MOUTH[1]), 0, 1) * np.clip(1.5 * (lips - y), 0, 1)
        teeth = np.clip((0.25 * opening - (y - MOUTH[1])) * 1.5, 0, 1)
        light = 1 - 0.9 * inside * (arch > 0) * (1 - teeth)
        light *= 1 - expression.frown * (0.35 * fields["crease"] + 0.2 * fields["scowl"])
        light *= 1 - expression.sneer * 0.45 * fields["wrinkles"]
        patch[..., :3] = (patch[..., :3] * light[..., None]).astype(np.uint8)
        texture[self._face] = patch
        return texture

    def _arch(self, purse: float) -> Field:
        """The shape of an open lower lip: 1 in the middle, 0 beyond the corners."""
        across = (self._x - MOUTH[0]) / (MOUTH_HALF_WIDTH * (1 - 0.35 * purse))
        return np.maximum(0, 1 - across**2).astype(np.float32)

    def _beyond_states(self, expression: Expression) -> tuple[Field, Field]:
        """How far each place moves, in photograph pixels, by what no state of DAiSEE uses."""
        face, fields = expression, self._fields
        left, right = fields["left_corner"], fields["right_corner"]
        across = (self._x - MOUTH[0]) * fields["mouth"]
        shift_x = 5 * max(face.smile, 0) * (right - left) + 10 * face.smirk * right
        shift_x += 3 * face.sneer * across / 20 - 0.3 * face.purse * across
        shift_y = -8 * face.smile * (left + right) - 15 * face.smirk * right
        shift_y -= 8 * face.brows * fields["both"]
        shift_y -= face.worry * (9 * fields["inner"] - 4 * fields["outer"])
        shift_y -= face.sneer * (6 * fields["upper_lip"] + 5 * fields["nostrils"])
        return shift_x, shift_y

    def _draw_lids(self, openness: float) -> Image:
        shut = 1 - openness
        x, y = self._band_x, self._band_y
        eyes = self.texture[self._band][..., :3].astype(np.float32)
        for eye_x, eye_y in EYES:
            arch = np.sqrt(np.clip(1 - ((x - eye_x) / 13) ** 2, 0, 1))
            edge = eye_y + (2 * shut - 1) * 6 * arch
            within = np.abs(y - eye_y) < 7 * arch
            lid = within * np.clip((edge - y) * 1.5 + 0.5, 0, 1)
            lash = within * np.exp(-(((y - edge) / 0.9) ** 2)) * min(1.0, 2 * shut)
            eyes += lid[..., None] * (self._shut_eyes - eyes)
            eyes *= 1 - 0.65 * lash[..., None]
        return eyes.astype(np.uint8)
