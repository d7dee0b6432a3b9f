"""Which frames of a clip a sequence head sees."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from affectflow.errors import UserError


def evenly_spaced(available: int, wanted: int | None) -> np.ndarray:
    """Return the places of `wanted` frames among `available`: the middles of equal stretches.

    Integers throughout, so 100 of 300 are 1, 4, 7, ... 298 everywhere.

    Returns
    -------
    numpy.ndarray
        (wanted,) int64, ascending, without repeats; all frames if `wanted` is None.

    Raises
    ------
    UserError
        If more are wanted than there are.
    """
    if wanted is None:
        return np.arange(available)
    if wanted > available:
        raise UserError(
            f"frames: {wanted} per clip are asked for, and {available} are embedded",
            "Lower the experiment's frames, or raise frames: per_clip in the config.",
        )
    return (2 * np.arange(wanted) + 1) * available // max(2 * wanted, 1)


def places(
    counts: np.ndarray, mask: np.ndarray, wanted: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return which frames of each clip are used: evenly spaced among those that the clip has.

    A clip of n frames gives min(n, wanted). Where none of these shows a face and others do, the
    clip gives frames with a face, evenly spaced among them, as many as are wanted and there.

    Parameters
    ----------
    counts : numpy.ndarray
        (clips,) int64, the frames that each clip has; they come first in its row.
    mask : numpy.ndarray
        (clips, S_all) bool, where there is a face.
    wanted : int or None
        None: all.

    Returns
    -------
    frames : numpy.ndarray
        (clips, S) int64, ascending in each row, S being `wanted` or S_all.
    mask : numpy.ndarray
        (clips, S) bool: False where there is no face, or no more frame of this clip.

    Raises
    ------
    UserError
        If more are wanted than S_all.
    """
    width = len(evenly_spaced(mask.shape[1], wanted))
    frames = np.tile(np.arange(width), (len(mask), 1))
    used = np.zeros(frames.shape, bool)
    for count in np.unique(counts):
        chosen = evenly_spaced(count, min(count, width))
        clips = np.flatnonzero(counts == count)
        frames[clips, : len(chosen)] = chosen
        used[clips, : len(chosen)] = mask[clips][:, chosen]
    for clip in np.flatnonzero(mask.any(axis=1) & ~used.any(axis=1)):
        faces = np.flatnonzero(mask[clip])
        chosen = faces[evenly_spaced(len(faces), min(len(faces), width))]
        frames[clip, : len(chosen)] = chosen
        used[clip, : len(chosen)] = True
    return frames, used


def key_frames(embedding: np.ndarray, mask: np.ndarray, similarity: float) -> np.ndarray:
    """Return which frames show something new: the others resemble the last one that was kept.

    A clip's first unmasked frame is kept, then each frame whose cosine similarity (dissertation,
    eq. 4.1) to the last kept one is below `similarity`, as in Khenkar and Jarraya (2022).

    Parameters
    ----------
    embedding : numpy.ndarray
        (clips, S, D) of any float type.
    mask : numpy.ndarray
        (clips, S) bool.
    similarity : float
        -1 to 1.

    Returns
    -------
    numpy.ndarray
        (clips, S) bool, a part of `mask`: at least one frame of each clip that has any.
    """
    x = np.where(mask[:, :, None], embedding, 0).astype(np.float32)
    x /= np.maximum(np.linalg.norm(x, axis=2, keepdims=True), np.finfo(np.float32).tiny)
    kept = np.zeros_like(mask)
    last, begun = np.zeros_like(x[:, 0]), np.zeros(len(x), bool)
    for place in range(mask.shape[1]):
        new = mask[:, place] & (~begun | ((x[:, place] * last).sum(axis=1) < similarity))
        kept[:, place] = new
        last = np.where(new[:, None], x[:, place], last)
        begun |= new
    return kept


def valid_first(embedding: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move each clip's unmasked frames to its front, in order; zeros follow.

    A recurrent layer that runs forward then reaches the last unmasked frame in the state that
    skipping masked frames would give, as Keras' ``Masking`` does.

    Parameters
    ----------
    embedding : torch.Tensor
        (B, S, D) float32.
    mask : torch.Tensor
        (B, S) bool.

    Returns
    -------
    embedding : torch.Tensor
        (B, S, D) float32.
    length : torch.Tensor
        (B,) int64, unmasked frames of each clip.
    """
    order = torch.argsort((~mask).to(torch.uint8), dim=1, stable=True)
    length = mask.sum(1)
    clip = torch.arange(len(mask), device=mask.device)[:, None]
    beyond = torch.arange(mask.shape[1], device=mask.device) >= length[:, None]
    return embedding[clip, order].masked_fill(beyond[:, :, None], 0), length


def last_valid(states: Tensor, length: Tensor) -> Tensor:
    """Return each clip's state at its last unmasked frame, (B, H); zeros where it has none."""
    clip = torch.arange(len(length), device=length.device)
    last = states[clip, (length - 1).clamp(min=0)]
    return last.masked_fill((length == 0)[:, None], 0)
