"""What a subject does in a clip: from four levels to a face's movements.

Each state has its own part of the face, and more of it means more of the state:

===========  ================================================================
engagement   how wide the mouth opens, speaking up
boredom      how far the eyelids sink and the face turns aside
confusion    how far the head tilts to one side, and one brow rises
frustration  how deep the brows and the mouth's corners frown; the head shakes
===========  ================================================================
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectflow.demo.portrait import Expression
from affectflow.demo.subject import Pose

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """The four labels of a clip, each 0..3."""

    boredom: int
    engagement: int
    confusion: int
    frustration: int


def perform(
    levels: Levels, frames: int, seconds: float, rng: np.random.Generator
) -> list[tuple[Expression, Pose]]:
    """Act out the levels of a clip.

    Parameters
    ----------
    levels : Levels
        The clip's labels.
    frames : int
        How many moments to return, evenly spaced.
    seconds : float
        How long the clip lasts.
    rng : numpy.random.Generator
        Decides everything the levels do not.

    Returns
    -------
    list of (Expression, Pose)
        One pair per moment.
    """
    time = np.arange(frames) * seconds / frames
    boredom, engagement, confusion, frustration = (
        np.clip(level + rng.uniform(-0.15, 0.15), 0, 3) / 3
        for level in (levels.boredom, levels.engagement, levels.confusion, levels.frustration)
    )
    eyes = 0.95 - 0.85 * boredom + 0.06 * _wander(time, rng) - _blinks(time, rng)
    speech = np.sin(np.pi * rng.uniform(0.25, 0.4) * time + rng.uniform(0, np.pi)) ** 2
    mouth = engagement * (0.7 + 0.3 * speech) + 0.04 * _wander(time, rng)
    tilt = 14 * confusion * (1 + 0.15 * _wander(time, rng)) + 1.5 * _wander(time, rng)
    raised = confusion * (1 + 0.1 * _wander(time, rng))
    shake = np.sin(2 * np.pi * rng.uniform(0.4, 0.7) * time + rng.uniform(0, 2 * np.pi))
    yaw = 1.1 * boredom + 0.25 * frustration * shake + 0.1 * _wander(time, rng)
    frown = frustration * (1 + 0.1 * _wander(time, rng))
    nod = 0.15 * _wander(time, rng)
    x, y = 8 * _wander(time, rng), 5 * _wander(time, rng)
    face = (np.clip(eyes, 0, 1), np.clip(mouth, 0, 1.1), np.clip(frown, 0, 1.1), raised)
    return [
        (Expression(*now[:4]), Pose(*now[4:]))
        for now in np.stack([*face, yaw, nod, tilt, x, y], axis=1).tolist()
    ]


def _wander(time: Series, rng: np.random.Generator) -> Series:
    """A smooth drift of about -1..1 with no memory of the levels."""
    rates, phases = rng.uniform(0.05, 0.4, 3), rng.uniform(0, 2 * np.pi, 3)
    waves = np.sin(2 * np.pi * rates * time[:, None] + phases)
    return np.asarray(1.5 * waves.mean(axis=1))


def _blinks(time: Series, rng: np.random.Generator) -> Series:
    starts = rng.uniform(0, time[-1], rng.integers(1, 5))
    return np.asarray(np.exp(-(((time[:, None] - starts) / 0.1) ** 2)).max(axis=1))
