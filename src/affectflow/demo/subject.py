"""Whom the camera sees: one person's looks, room, seat and camera.

Everything drawn here is constant through a subject's clips, apart from the seat, which shifts a
little from clip to clip. None of it depends on a level.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from affectflow.demo.portrait import CENTRE, Face, Field, Image, Layers, soften, texture_xy

WIDTH, HEIGHT = 640, 480
# hues alone: a webcam exposes for the face, so that skin is about as bright for everyone
SKIN_HUES = (
    (1.00, 1.00, 1.00), (1.02, 1.00, 0.97), (1.04, 0.99, 0.95), (1.04, 0.98, 0.98),
    (0.98, 1.00, 1.03), (1.01, 1.01, 0.95),
)  # fmt: skip
HAIR_HUES = (
    (1.00, 1.00, 1.00), (1.20, 0.98, 0.82), (1.35, 0.98, 0.67), (1.22, 1.05, 0.73),
    (1.50, 0.85, 0.65), (0.90, 0.96, 1.14),
)  # fmt: skip
HAIR_BRIGHTNESS = 0.22


@dataclass(frozen=True)
class Pose:
    """Where a head is and how it is turned.

    Attributes
    ----------
    yaw, nod : float
        Turn to the viewer's right and down, about -1..1.
    tilt : float
        Degrees towards the viewer's right shoulder.
    x, y : float
        Sway from the seat, in pixels of the frame.
    """

    yaw: float
    nod: float
    tilt: float
    x: float
    y: float


@dataclass(frozen=True)
class Seat:
    """Where a subject sits during one clip: head centre and pixels per photograph pixel."""

    x: float
    y: float
    zoom: float


class Subject:
    """One person, drawn from a seeded generator.

    Parameters
    ----------
    layers : Layers
        The portrait's layers.
    rng : numpy.random.Generator
        Decides the looks, the room, the usual seat and the camera.
    """

    def __init__(self, layers: Layers, rng: np.random.Generator) -> None:
        self._light = rng.uniform(-0.15, 0.15, 2)
        self._gain = rng.normal(1, 0.02, 3)
        self._blur = rng.uniform(0.5, 0.8)
        self.noise = float(rng.uniform(1.5, 4))
        self._seat = Seat(rng.uniform(250, 390), rng.uniform(200, 250), rng.uniform(1.35, 1.9))
        self._widths = rng.uniform(-0.06, 0.06), rng.uniform(-0.08, 0.08)
        self._lengths = rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)
        brightness = rng.uniform(0.92, 0.95)
        self._skin = brightness * np.array(SKIN_HUES[rng.integers(len(SKIN_HUES))])
        hue = np.array(HAIR_HUES[rng.integers(len(HAIR_HUES))])
        self._hair = HAIR_BRIGHTNESS * rng.uniform(0.9, 1.1) * hue
        self._shirt = rng.uniform(0.1, 0.85, 3)
        self._long_hair = rng.random() < 0.5
        self._room = self._draw_room(rng)
        self.face = Face(self._draw_head(layers, rng.uniform(0, 0.35)))

    def _draw_head(self, layers: Layers, stubble: float) -> Image:
        colour, head, skin = layers.colour, layers.head, layers.skin
        grey = colour.mean(axis=2, keepdims=True)
        hair = np.clip(self._hair * (0.35 + 1.6 * grey), 0, 1)
        bare = colour * self._skin
        ys, xs = np.mgrid[: head.shape[0], : head.shape[1]].astype(np.float32)
        shadow = np.exp(-(((xs - 212) / 70) ** 2) - ((ys - 325) / 45) ** 2)
        if not self._long_hair:
            bare *= 1 - stubble * shadow[..., None]
        bare += layers.features[..., None] * (colour - bare)
        mixed = hair + skin[..., None] * (bare - hair)
        if self._long_hair:
            mixed, head = self._grow_hair(mixed, head, xs, ys)
        (cx, cy), (lx, ly) = texture_xy(CENTRE), self._light
        light = 1 + lx * (xs - cx) / 160 + ly * (ys - cy) / 200
        mixed = mixed * light[..., None] * self._gain
        rgba = np.dstack([np.clip(mixed, 0, 1), head]) * 255
        return soften(rgba, self._blur).astype(np.uint8)

    def _grow_hair(self, colour: Field, head: Field, xs: Field, ys: Field) -> tuple[Field, Field]:
        back = np.zeros(head.shape, np.float32)
        for outline in (
            [(156, 80), (152, 130), (158, 190), (168, 206), (176, 196), (172, 160), (182, 100)],
            [(297, 80), (300, 130), (292, 190), (280, 206), (272, 196), (276, 160), (268, 100)],
        ):
            cv2.fillPoly(back, [texture_xy(outline).astype(np.int32)], 1.0)
        back = soften(back, 4)
        strands = 0.8 + 0.2 * np.sin(xs * 0.9 + 2 * np.sin(ys / 30))
        hair = self._hair * (0.7 * strands * (1.1 - ys / 900))[..., None]
        return hair + head[..., None] * (colour - hair), np.maximum(head, back)

    def _draw_room(self, rng: np.random.Generator) -> Field:
        def paint(*shape: int) -> NDArray[np.float64]:
            return rng.uniform(0.32, 0.46, (*shape, 1)) + rng.uniform(-0.12, 0.12, (*shape, 3))

        tints = paint(2, 2).astype(np.float32)
        room = np.asarray(
            cv2.resize(tints, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.float32
        )
        for _ in range(rng.integers(3, 9)):
            x, y = int(rng.integers(-60, WIDTH)), int(rng.integers(-60, HEIGHT))
            w, h = (int(side) for side in rng.integers(40, 220, 2))
            cv2.rectangle(room, (x, y), (x + w, y + h), paint().tolist(), -1)
        room = soften(room, float(rng.uniform(3, 9)))
        ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        light = 1 + self._light[0] * (xs / WIDTH - 0.5) + self._light[1] * (ys / HEIGHT - 0.5)
        return np.clip(room * light[..., None] * self._gain, 0, 1).astype(np.float32)

    def take_seat(self, rng: np.random.Generator) -> Seat:
        """The subject's seat for one clip: near the usual one."""
        usual = self._seat
        return Seat(
            usual.x + rng.uniform(-15, 15),
            usual.y + rng.uniform(-10, 10),
            usual.zoom * rng.uniform(0.96, 1.04),
        )

    def empty_room(self) -> Image:
        """The room without the subject, uint8 RGB of shape (480, 640, 3)."""
        return (self._room * 255).astype(np.uint8)

    def backdrop(self, seat: Seat) -> Image:
        """The room with the subject's shoulders and neck, before which the head moves.

        Returns
        -------
        uint8 array, shape (480, 640, 3)
            RGB.
        """

        def at(points: list[tuple[int, int]]) -> list[NDArray[np.int32]]:
            offset = (np.array(points) - CENTRE) * seat.zoom + (seat.x, seat.y)
            return [np.round(offset).astype(np.int32)]

        body = np.zeros((HEIGHT, WIDTH), np.float32)
        shoulders = [(198, 192), (224, 204), (250, 192), (290, 206), (322, 228), (334, 480),
                     (114, 480), (126, 228), (158, 206)]  # fmt: skip
        cv2.fillPoly(body, at(shoulders), 1.0)
        neck = np.zeros_like(body)
        cv2.fillPoly(neck, at([(196, 140), (252, 140), (254, 200), (224, 210), (194, 200)]), 1.0)
        image = self._room.copy()
        tone = np.array((0.80, 0.60, 0.48)) * self._skin * self._gain
        tone *= 0.42 / tone.mean()
        for mask, colour in ((neck, tone), (body, self._shirt * self._gain)):
            soft = soften(mask, 2)[..., None]
            image += soft * (colour.astype(np.float32) - image)
        return (np.clip(image, 0, 1) * 255).astype(np.uint8)

    def place(self, head: Image, backdrop: Image, seat: Seat, pose: Pose) -> Image:
        """Put a head, turned as `pose` says, before its backdrop.

        Parameters
        ----------
        head : uint8 array, shape (H, W, 4)
            What `Face.express` returns.
        backdrop : uint8 array, shape (480, 640, 3)
            RGB.

        Returns
        -------
        uint8 array, shape (480, 640, 3)
            RGB.
        """
        centre_x, centre_y = seat.x + pose.x, seat.y + pose.y
        reach_x, reach_y = 105 * seat.zoom, 125 * seat.zoom
        left, right = max(0, int(centre_x - reach_x)), min(WIDTH, int(centre_x + reach_x))
        top, bottom = max(0, int(centre_y - reach_y)), min(HEIGHT, int(centre_y + reach_y))
        # the turn is smooth: work it out on a coarse grid
        xs = np.linspace(left, right - 1, (right - left) // 12 + 2)
        ys = np.linspace(top, bottom - 1, (bottom - top) // 12 + 2)
        u, v = self._photo_offsets(*np.meshgrid(xs - centre_x, ys - centre_y), seat.zoom, pose)
        source = texture_xy(np.dstack([u, v]) + CENTRE).astype(np.float32)
        source = _stretch(source, (right - left, bottom - top))
        turned = cv2.remap(
            head, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderValue=(0, 0, 0, 0)
        )
        front = cv2.cvtColor(turned, cv2.COLOR_RGBA2RGB)
        behind = backdrop[top:bottom, left:right]
        alpha = cv2.extractChannel(turned, 3).astype(np.float32) / 255
        frame = backdrop.copy()
        frame[top:bottom, left:right] = cv2.blendLinear(front, behind, alpha, 1 - alpha)
        return frame

    def _photo_offsets(
        self, dx: NDArray[np.float64], dy: NDArray[np.float64], zoom: float, pose: Pose
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        angle = np.deg2rad(pose.tilt)
        u = (np.cos(angle) * dx + np.sin(angle) * dy) / zoom
        v = (-np.sin(angle) * dx + np.cos(angle) * dy) / zoom
        bulge = np.exp(-((u / 48) ** 2) - ((v - 5) / 60) ** 2)
        u, v = u - pose.yaw * 16 * bulge, v - pose.nod * 14 * bulge
        jaw = 1 / (1 + np.exp(-(v - 20) / 15))
        u = u * (1 + self._widths[0] + self._widths[1] * jaw)
        v = v * (1 + self._lengths[0] + self._lengths[1] * jaw)
        return u, v


def hold_book(frame: Image, seat: Seat) -> Image:
    """Put a book between the face and the camera; uint8 RGB, shape (480, 640, 3)."""
    reach_x, reach_y = 75 * seat.zoom, 85 * seat.zoom
    start = int(seat.x - reach_x), int(seat.y - reach_y)
    end = int(seat.x + reach_x), int(seat.y + reach_y)
    return np.asarray(cv2.rectangle(frame.copy(), start, end, (90, 110, 150), -1), np.uint8)


def _stretch(grid: Field, size: tuple[int, int]) -> Field:
    columns, rows = size
    height, width = grid.shape[:2]
    xs = np.linspace(0, width - 1, columns, dtype=np.float32)
    ys = np.linspace(0, height - 1, rows, dtype=np.float32)
    return np.asarray(cv2.remap(grid, *np.meshgrid(xs, ys), cv2.INTER_LINEAR), np.float32)
