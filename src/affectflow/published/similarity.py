"""The similarity that the dissertation states for two frames of its sample clip, and ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas

from affectflow.provenance.atomic import atomic
from affectflow.published import numbers
from affectflow.published.scores import RANDOM_WEIGHTS

PERCENTILES = (5, 50, 95)
COLUMNS = ["frame", "frames", "clips", "p5", "median", "p95"]
NO_CLIP = "no clip with both frames"
NOTES = (
    "The published number is of one clip, and which is not said. Ours is the median over clips, "
    "in square brackets the middle 90 % of them: how clips differ, not how sure the median is.",
    "Which backbone the published number is of is not said. The embeddings of that section have "
    "512 numbers, which is extractor 2 or 3 (resnet18, inception_resnet_v1) and not the teacher "
    "network (fecnet, 128).",
    "Compared are frames at the same time: where a study has fewer frames of a clip, the one "
    "sampled from that part of it. Ours is to the clip's first frame with a face.",
)


class Stated(NamedTuple):
    """Cosine similarity of a clip's frame, counted from 1, to its first, of so many frames."""

    frame: int
    frames: int
    similarity: float


def stated() -> Stated:
    """Return what the dissertation states on Figure 4.2."""
    row = numbers.similarity().iloc[0]
    return Stated(int(row["frame"]), int(row["frames"]), float(row["similarity"]))


def same_time(frames: Any) -> Any:
    """Return which of `frames` evenly sampled ones, from 0, shows the time of the stated one.

    A clip is sampled in the middle of each of `frames` equal parts: this is the part that the
    stated frame lies in. `frames` is a number or an array of them.
    """
    published = stated()
    return (published.frame - 1) * frames // published.frames


def compare_similarity(
    tables: Mapping[str, pandas.DataFrame], random_backbones: Collection[str] = ()
) -> pandas.DataFrame:
    """Lay our similarity at the same time beside the stated one.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Backbone -> as from `figures.similarity.summary`.
    random_backbones : collection of str
        Backbones with random weights.

    Returns
    -------
    pandas.DataFrame
        A row per backbone: `backbone, frame, frames, clips, published, ours, p5, p95, difference,
        ours_note`. `frame` counts from 1; similarities are from -1 to 1, NaN without a clip.
    """
    rows = []
    for backbone, table in tables.items():
        (ours,) = table[table["frame"] == table["frames"].map(same_time) + 1].to_dict("records")
        random = RANDOM_WEIGHTS if backbone in random_backbones else ""
        rows.append(
            {
                "backbone": backbone,
                **{key: ours[key] for key in ("frame", "frames", "clips", "p5", "p95")},
                "published": stated().similarity,
                "ours": ours["median"],
                "difference": round(ours["median"] - stated().similarity, 6),
                "ours_note": random if ours["clips"] else NO_CLIP,
            }
        )
    return pandas.DataFrame(rows)


def write_similarity(path: Path, table: pandas.DataFrame) -> None:
    """Write a backbone's similarity table; equal tables give equal bytes."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")


def read_similarity(path: Path) -> pandas.DataFrame:
    """Read what `write_similarity` wrote."""
    return pandas.read_csv(path)
