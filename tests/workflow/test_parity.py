"""As the config has it, faces and embeddings are those of the stock pipeline.

Stock: facenet-pytorch's MTCNN as it ships (20 px), on each frame; here `min_size: 60`, a clip of
small faces searched closer, and looks 0.2 seconds apart where people are calm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from facenet_pytorch import MTCNN
from study import CHECKOUT

from affectflow.backbones.embedder import Embedder
from affectflow.backbones.precision import cosines
from affectflow.backbones.weights import backbone
from affectflow.faces.between import looks
from affectflow.faces.clip import build_detectors, find_faces, iter_crops
from affectflow.video.decode import iter_frames, plan_clip
from affectflow.video.sampling import Sampling

FACES = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())["faces"]
FRAMES = 100
EMBEDDED = 12
BOX = 0.85
"""Intersection over union from which on two boxes are one."""


def check(video: Path) -> None:
    plan = plan_clip(video, Sampling(per_clip=10_000))
    images = [frame.image for frame in islice(iter_frames(plan), FRAMES)]
    every = looks(FACES["every"], plan.time[: len(images)])
    assert every > 1
    ours = find_faces(images, build_detectors(FACES, "cpu"), every)
    stock = MTCNN()
    theirs = [boxes_of(stock, image) for image in images]

    seen = np.array([len(boxes) > 0 for boxes in theirs])
    assert abs(ours.mask.mean() - seen.mean()) <= 0.02
    if not seen.any():
        return
    places = np.flatnonzero(seen)
    same = [ours.mask[i] and overlap(ours.box[i], theirs[i]).max() >= BOX for i in places]
    assert np.mean(same) >= 0.99

    # The face that is followed need not be a frame's largest: stock's box of that face.
    both = [i for i in places if ours.mask[i]][:: max(1, len(places) // EMBEDDED)]
    crops = [*iter_crops(images, ours)]
    nearest = [theirs[i][overlap(ours.box[i], theirs[i]).argmax()] for i in both]
    network = inception()
    here = network.embed([crops[i] for i in both])
    there = network.embed(
        [np.array(stock_crop(stock, images[i], box)) for i, box in zip(both, nearest, strict=True)]
    )
    cosine = cosines(here, there)
    assert np.median(cosine) >= 0.98
    assert np.percentile(cosine, 5) >= 0.95


def boxes_of(stock: MTCNN, image: np.ndarray) -> np.ndarray:
    boxes, _ = stock.detect(image)
    return np.zeros((0, 4)) if boxes is None else np.asarray(boxes, float)


def stock_crop(stock: MTCNN, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    stock.post_process = False
    (crop,) = stock.extract(image, box[None], None)[None]
    return crop.permute(1, 2, 0).numpy().astype(np.uint8)


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    return shared / ((others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - shared)


def inception() -> Embedder:
    """Return the stock pipeline's network, with random weights: no others can be had here."""
    spec = backbone("inception_resnet_v1")
    torch.manual_seed(1)
    return Embedder(spec, spec.build().eval(), torch.device("cpu"))


def readable(videos: Sequence[Path]) -> Iterator[Path]:
    for video in videos:
        if plan_clip(video, Sampling(per_clip=1)).status == "ok":
            yield video


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Torch's threads wait for each other beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_on_generated_faces(small_corpus: Path) -> None:
    videos = sorted((small_corpus / "DataSet").rglob("*.*"))
    for video in islice(readable(videos), 2):
        check(video)


def test_on_real_people(real_corpus: Path) -> None:
    videos = sorted((real_corpus / "DataSet").rglob("*.*"))
    checked = 0
    for video in readable(videos):
        check(video)
        checked += 1
    assert checked == 12
