"""What the benchmarks look at: videos of real people where they are at hand, else the demo's."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from affectflow.video.decode import plan_clip
from affectflow.video.sampling import Sampling

CHECKOUT = Path(__file__).parents[1]
CORPORA = (CHECKOUT.parent / "shared" / "corpus", CHECKOUT / "demo" / "corpus")


def choose_clips(frames: int, most: int, within: str = "") -> dict[Path, np.ndarray]:
    """Return clips that decode, spread over the corpus or a folder in it, and sampled frames."""
    root = next((root for root in CORPORA if root.is_dir()), None)
    if root is None:
        sys.exit("no clips: make demo/corpus first")
    found = {}
    for video in sorted((root / "DataSet" / within).rglob("*.*")):
        plan = plan_clip(video, Sampling(per_clip=frames))
        if plan.status in ("ok", "short"):
            found[video] = plan.frame_index
    every = max(len(found) / most, 1.0)
    kept = {int(place * every) for place in range(most)}
    return {video: index for place, (video, index) in enumerate(found.items()) if place in kept}


def as_shard(videos: Iterable[Path]) -> tuple[list[tuple[str, str]], Path]:
    """Return clip ids with their paths from the corpus's folder, and that folder, as jobs do."""
    videos = list(videos)
    root = next(parent for parent in videos[0].parents if parent.name == "DataSet")
    return [(video.stem, str(video.relative_to(root))) for video in videos], root
