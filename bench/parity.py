"""Whether two pipelines say the same of a clip."""

from __future__ import annotations

import numpy as np
from looked import Looked

SAME = 0.85
"""Intersection over union from which on two boxes are one face's."""


def compare(stock: Looked, ours: Looked) -> dict[str, float]:
    """Return what differs between the stock pipeline and ours, over one clip's frames.

    Returns
    -------
    dict
        ``coverage_stock``, ``coverage_ours``: shares of frames with a face; ``same_box``: of the
        frames where stock finds a face, the share where our box is one of stock's, with an
        intersection over union of at least `SAME`; ``iou_median``; ``landmark_median``: distance
        in face sizes; ``cosine_median``, ``cosine_5``: of the embeddings where both embedded the
        same face, the median and the 5th percentile; ``centred_median``: the same with the clips'
        mean embedding taken away, where networks without training are no longer all alike.
    """
    both = stock.mask & ours.mask
    iou, apart, same_face = [], [], np.zeros(len(both), bool)
    for i in np.flatnonzero(stock.mask):
        if not ours.mask[i]:
            iou.append(0.0)
            continue
        overlaps = overlap(ours.boxes[i][0], stock.boxes[i])
        best = int(overlaps.argmax())
        iou.append(float(overlaps[best]))
        same_face[i] = best == 0 and overlaps[best] >= SAME
        size = np.sqrt(np.prod(stock.boxes[i][best, 2:] - stock.boxes[i][best, :2]))
        between = np.linalg.norm(ours.landmarks[i][0] - stock.landmarks[i][best], axis=1)
        apart.append(float(between.mean() / size))
    here, there = stock.embedding[same_face], ours.embedding[same_face]
    middle = here.mean(0) if len(here) else 0.0
    cosine, centred = _cosine(here, there), _cosine(here - middle, there - middle)
    return {
        "frames": len(both),
        "coverage_stock": float(stock.mask.mean()),
        "coverage_ours": float(ours.mask.mean()),
        "same_box": _share(np.array(iou) >= SAME),
        "iou_median": _median(iou),
        "landmark_median": _median(apart),
        "cosine_median": _median(cosine),
        "cosine_5": float(np.percentile(cosine, 5)) if len(cosine) else np.nan,
        "centred_median": _median(centred),
    }


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersections over unions of a box (4,) and others (k, 4), (k,)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return shared / (areas - shared)


def _cosine(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(here, axis=1) * np.linalg.norm(there, axis=1)
    return (here * there).sum(1) / np.maximum(lengths, np.finfo(float).tiny)


def _median(values: np.ndarray | list[float]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
