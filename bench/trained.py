"""Are embeddings those of stock's crops where the weights have learnt something, in each precision?

    .venv/bin/python bench/trained.py --clips 12 --frames 100

Random weights give all faces nearly the same embedding. So `fecnet` is trained on generated faces
first (two minutes of a core), in float32. Then stock's MTCNN and our detection look at the same
frames, stock's crops are embedded in float32, and ours, after their JPEG, in each precision that
this CPU is made for. The cosine is told as it is, with the mean of all taken away, and with each
clip's own mean taken away: what is left of people, and what of a head that moves.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import torch
import yaml
from clips import CHECKOUT, as_shard, choose_clips
from facenet_pytorch import MTCNN
from parity import SAME, overlap

from affectflow.backbones.embedder import Embedder
from affectflow.backbones.precision import able, cosines
from affectflow.backbones.weights import backbone
from affectflow.commandline import keep_freed_memory, limit_threads
from affectflow.demo.teacher import extractor, train_on_generated_faces
from affectflow.faces.between import looks
from affectflow.faces.clip import build_detectors, find_faces, iter_crops
from affectflow.video import jpeg
from affectflow.video.direct import iter_clips

CPU = torch.device("cpu")
SPEC = backbone("fecnet")
EVERY = 6
"""Frames from one that is embedded to the next."""


def crops(
    clips: Mapping[Path, np.ndarray], settings: Mapping[str, Any]
) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    """Return clips, and stock's and our crop of the face that was followed, in some frames."""
    stock = MTCNN(image_size=SPEC.size, post_process=False).eval()
    detectors = build_detectors(settings["faces"], "cpu")
    names, root = as_shard(clips)
    of, theirs, ours = list[str](), list[np.ndarray](), list[np.ndarray]()
    for clip in iter_clips(names, root, settings["frames"]):
        found = find_faces(clip.images, detectors, looks(settings["faces"]["every"], clip.time))
        cut = [*iter_crops(clip.images, found)]
        for i in np.flatnonzero(found.mask)[::EVERY]:
            boxes, _ = stock.detect(clip.images[i])
            if boxes is None:
                continue
            shared = overlap(found.box[i].astype(float), boxes.astype(float))
            if shared.max() >= SAME:
                box = boxes[shared.argmax()][None]
                there = stock.extract(clip.images[i], box, None).reshape(3, SPEC.size, SPEC.size)
                of.append(clip.clip_id)
                theirs.append(there.permute(1, 2, 0).numpy().astype(np.uint8))
                ours.append(jpeg.decode(jpeg.encode(cut[i])))
    return of, theirs, ours


def compare(of: list[str], here: np.ndarray, there: np.ndarray) -> dict[str, float]:
    """Return medians and 5th percentiles of the cosines."""
    clip = pandas.factorize(np.array(of))[0]
    own = np.stack([there[clip == each].mean(0) for each in range(clip.max() + 1)])[clip]
    means = {"": 0.0, "centred": there.mean(0), "in the clip": own}
    found = {}
    for name, mean in means.items():
        cosine = cosines(here - mean, there - mean)
        found[f"{name} median".strip()] = float(np.median(cosine))
        found[f"{name} 5th".strip()] = float(np.percentile(cosine, 5))
    return found


def main() -> None:
    """Train, look, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=4, help="at most")
    parser.add_argument("--frames", type=int, default=100, help="per clip")
    given = parser.parse_args()
    limit_threads(1)
    keep_freed_memory()
    config = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())
    config["frames"] |= {"per_clip": given.frames, "on_disk": False}
    with tempfile.TemporaryDirectory() as top:
        trained = train_on_generated_faces(Path(top))
    network = extractor(trained)
    scores = {name: trained.metrics[name]["accuracy"] for name in ("fec", "affectnet")}
    accuracy = {name: round(score, 3) for name, score in scores.items()}
    print(f"fecnet, trained; of people it never saw: {accuracy}", flush=True)
    of, theirs, ours = crops(choose_clips(given.frames, given.clips), config)
    there = Embedder(SPEC, network, CPU).embed(theirs)
    rows = []
    for precision in able(CPU):
        here = Embedder(SPEC, network, CPU, precision).embed(ours)
        rows.append({"precision": precision, "crops": len(of)} | compare(of, here, there))
    print(pandas.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
