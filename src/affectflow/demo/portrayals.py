"""Whom the generated expressions show, and with which face.

AffectNet's eight classes are eight settings of the portrait's face. A face shows its class mildly
or strongly, with small deviations in every part.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from affectflow.demo.portrait import Expression
from affectflow.demo.subject import Pose
from affectflow.teacher.classes import EXPRESSIONS, NO_EXPRESSIONS

NONE, UNCERTAIN, NON_FACE = NO_EXPRESSIONS
NO_AFFECT = -2.0  # what those tables have for a valence or arousal that nobody gave

_PEAKS = (
    Expression(eyes=0.55, mouth=0, frown=0, raised=0, smile=-0.5),
    Expression(eyes=0.4, mouth=0.4, frown=0, raised=0, smile=1.1),
    Expression(eyes=0.2, mouth=0, frown=0, raised=0, smile=-1, worry=1),
    Expression(eyes=0.8, mouth=0.9, frown=0, raised=0, brows=1, purse=0.8),
    Expression(eyes=0.8, mouth=0.35, frown=0, raised=0, smile=-0.8, brows=0.4, worry=1, purse=-0.5),
    Expression(eyes=0.1, mouth=0.12, frown=0.3, raised=0, smile=-0.3, brows=-0.4, sneer=1),
    Expression(eyes=0.75, mouth=0, frown=1.1, raised=0, smile=-0.2, brows=-0.7, purse=0.3),
    Expression(eyes=0.4, mouth=0, frown=0, raised=1, smile=-0.5, smirk=1),
)
_AFFECT = (  # valence and arousal at full strength
    (0.0, 0.0), (0.8, 0.4), (-0.7, -0.4), (0.2, 0.8), (-0.4, 0.8), (-0.7, 0.4), (-0.5, 0.7),
    (-0.6, 0.2),
)  # fmt: skip
MILD, STRONG = (0.65, 0.8), (1.2, 1.35)  # apart, so that one class has odd ones, too
JITTER = 0.04

# last words of seeds, beyond any image's number: an identity's faces and looks are drawn apart
FACES_STREAM, LOOKS_STREAM = 1000, 1001
_OTHERS = 900  # first number of an image without a class
_OTHERS_EACH = 2


@dataclass(frozen=True)
class Portrayal:
    """One image: who, with which face.

    Attributes
    ----------
    identity : int
        Four digits, the first of the image's name. The thousands say the split.
    number : int
        Which image of this identity.
    expression : int
        0..7, an index of `EXPRESSIONS`; or `NONE`, `UNCERTAIN`, `NON_FACE`.
    face : Expression
        The portrait's settings.
    pose : Pose
        How the head is turned.
    valence, arousal : float
        -1..1, or `NO_AFFECT` where `expression` is no class.
    """

    identity: int
    number: int
    expression: int
    face: Expression
    pose: Pose
    valence: float
    arousal: float

    @property
    def name(self) -> str:
        """The file's name: four digits of the identity, three of the image."""
        return f"{self.identity}{self.number:03d}.jpg"


def settings(face: Expression) -> NDArray[np.float64]:
    """A face as a point, float64 of shape (10,); distances between such points say who is odd."""
    return np.array([getattr(face, field.name) for field in fields(face)])


def portray(first: int, identities: int, per_identity: int, seed: int) -> list[Portrayal]:
    """Plan the images of so many identities, numbered from `first`; the classes take turns."""
    images = []
    for identity in range(first, first + identities):
        rng = np.random.default_rng([seed, identity, FACES_STREAM])
        for number in range(per_identity):
            # by turns from another start for each, so that few images are of every class, too
            expression = (identity + number) % len(EXPRESSIONS)
            strength = rng.uniform(*(MILD, STRONG)[rng.integers(2)])
            face = _blend(0, expression, strength, rng)
            valence, arousal = np.clip(
                strength * np.array(_AFFECT[expression]) + rng.normal(0, 0.03, 2), -1, 1
            )
            images.append(
                Portrayal(
                    identity, number, expression, face, _turn(rng), float(valence), float(arousal)
                )
            )
    return images


def portray_others(first: int, seed: int) -> list[Portrayal]:
    """Plan the images of no class that AffectNet's training table has, too."""
    rng = np.random.default_rng([seed, 1])
    return [
        Portrayal(
            first + turn,
            _OTHERS + expression,
            expression,
            _blend(1 + turn, 4 + turn, 0.5, rng),
            _turn(rng),
            NO_AFFECT,
            NO_AFFECT,
        )
        for expression in (NONE, UNCERTAIN, NON_FACE)
        for turn in range(_OTHERS_EACH)
    ]


def _blend(start: int, end: int, share: float, rng: np.random.Generator) -> Expression:
    a, b = settings(_PEAKS[start]), settings(_PEAKS[end])
    values = a + share * (b - a) + rng.normal(0, JITTER, len(a))
    values[:4] = np.clip(values[:4], 0, (1, 1.1, 1.3, 1.2))
    return Expression(*values.tolist())


def _turn(rng: np.random.Generator) -> Pose:
    yaw, nod, tilt = rng.normal(0, (0.15, 0.1, 3))
    return Pose(float(yaw), float(nod), float(tilt), 0.0, 0.0)
