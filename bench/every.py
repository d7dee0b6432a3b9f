"""What `faces.every` saves and changes: frames looked at, and boxes that are others than in each.

    .venv/bin/python bench/every.py

The detector looks at each frame once; what a look at some of them would have said follows from
that, also near a face (`tests/unit/test_faces_mtcnn.py`: it gets the same box there). Nothing is
timed, so other work on the machine does not matter.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from clips import CHECKOUT, choose_clips
from parity import SAME, overlap

from affectflow.faces.between import look_between
from affectflow.faces.clip import build_detectors
from affectflow.faces.detection import Detections
from affectflow.video.decode import iter_frames, plan_clip
from affectflow.video.sampling import Sampling

FRAMES, CLIPS, TOGETHER = 300, 100, 16


def detections(video: Path) -> list[Detections]:
    """Return what the config's detector finds in each frame."""
    settings = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())["faces"]
    detector, found = build_detectors(settings, "cpu")[0], list[Detections]()
    images: list[np.ndarray] = []
    for frame in iter_frames(plan_clip(video, Sampling(per_clip=FRAMES))):
        images.append(frame.image)
        if len(images) == TOGETHER:
            found += detector.detect(images)
            images = []
    return found + detector.detect(images)


def changed(here: Detections, there: Detections) -> bool:
    """Return whether the face is none of those there, or there is none though one is."""
    if not len(here) or not len(there):
        return len(here) != len(there)
    return bool(overlap(here.boxes[0], there.boxes).max() < SAME)


def main() -> None:
    """Print a row for each rate of frames and `every`."""
    clips = [detections(video) for video in choose_clips(FRAMES, CLIPS)]
    print("of 300 frames  every  looked at  near a face  median clip  changed  coverage changed")
    for step in (1, 3):
        for every in (2, 4, 6, 8, 12):
            looked, frames, whole, near, changes, seen, coverage = [], 0, 0, 0, 0, 0, 0.0
            for clip in clips:
                each, places = clip[::step], {"whole": set[int](), "near": set[int]()}

                def look(wanted: Sequence[int], boxes: object, each=each, places=places):
                    places["whole" if boxes is None else "near"].update(wanted)
                    return [each[place] for place in wanted]

                found, _ = look_between(len(each), every, look)
                frames, whole, near = (
                    frames + len(each), whole + len(places["whole"]), near + len(places["near"])
                )  # fmt: skip
                looked.append(len(places["whole"] | places["near"]) / len(each))
                seen += sum(map(bool, map(len, each)))
                changes += sum(map(changed, found, each))
                covered = [np.mean([len(one) > 0 for one in faces]) for faces in (found, each)]
                coverage = max(coverage, abs(covered[0] - covered[1]))
            print(
                f"{FRAMES // step:13}  {every:5}  {whole / frames:9.1%}  {near / frames:11.1%}"
                f"  {statistics.median(looked):11.1%}  {changes / seen:7.2%}  {coverage:16.1%}"
            )


if __name__ == "__main__":
    main()
