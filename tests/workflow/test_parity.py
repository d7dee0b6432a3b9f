"""As the config has it, faces and embeddings are those of the stock pipeline.

Stock: facenet-pytorch's MTCNN as it ships (20 px), on each frame; here `min_size: 60`, a clip of
small faces searched closer, and looks 0.2 seconds apart where people are calm. What is embedded is
judged by a network that learnt something: for random weights all faces are nearly the same.
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
from affectflow.demo.teacher import extractor
from affectflow.faces.between import looks
from affectflow.faces.clip import build_detectors, find_faces, iter_crops
from affectflow.teacher.training import Trained
from affectflow.video.decode import iter_frames, plan_clip
from affectflow.video.sampling import Sampling

FACES = yaml.safe_load((CHECKOUT / "config" / "config.yaml").read_text())["faces"]
FRAMES = 100
EMBEDDED = 12
BOX = 0.85
"""Intersection over union from which on two boxes are one."""


Pair = tuple[np.ndarray, np.ndarray]


def faces_are_stocks(video: Path, network: Embedder, every: int | str = FACES["every"]) -> Pair:
    """Compare a clip's faces; return the embeddings (n, D) of our crops and of stock's."""
    plan = plan_clip(video, Sampling(per_clip=10_000))
    images = [frame.image for frame in islice(iter_frames(plan), FRAMES)]
    apart = looks(every, plan.time[: len(images)])
    assert (apart > 1) is (every != 1)
    ours = find_faces(images, build_detectors(FACES, "cpu"), apart)
    stock = MTCNN(image_size=network.backbone.size)
    theirs = [boxes_of(stock, image) for image in images]

    seen = np.array([len(boxes) > 0 for boxes in theirs])
    assert abs(ours.mask.mean() - seen.mean()) <= 0.02
    if not seen.any():
        return (np.empty((0, network.backbone.dim)),) * 2
    places = np.flatnonzero(seen)
    same = [ours.mask[i] and overlap(ours.box[i], theirs[i]).max() >= BOX for i in places]
    assert np.mean(same) >= 0.99

    # The face that is followed need not be a frame's largest: stock's box of that face.
    both = [i for i in places if ours.mask[i]][:: max(1, len(places) // EMBEDDED)]
    crops = [*iter_crops(images, ours)]
    nearest = [theirs[i][overlap(ours.box[i], theirs[i]).argmax()] for i in both]
    here = network.embed([crops[i] for i in both])
    there = network.embed(
        [np.array(stock_crop(stock, images[i], box)) for i, box in zip(both, nearest, strict=True)]
    )
    return here, there


def embeddings_are_stocks(here: np.ndarray, there: np.ndarray) -> None:
    cosine = cosines(here, there)
    assert np.median(cosine) >= 0.98
    assert np.percentile(cosine, 5) >= 0.95


def faces_are_told_apart(pairs: Sequence[Pair]) -> None:
    """What differs between faces is the same in both; the embeddings of others are far off."""
    here, there = (np.concatenate(own) for own in zip(*pairs, strict=True))
    mean = there.mean(0)
    assert np.median(cosines(here - mean, there - mean)) >= 0.98
    assert np.median(cosines(here, np.roll(there, len(there) // 3, axis=0))) < 0.9


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


@pytest.fixture(scope="module")
def network(taught: tuple[Path, Trained]) -> Embedder:
    """Inception-ResNet-v1 up to its last reduction, and what `fecnet` puts on it."""
    return Embedder(backbone("fecnet"), extractor(taught[1]), torch.device("cpu"))


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


def test_on_generated_faces(small_corpus: Path, network: Embedder) -> None:
    """The network learnt on such faces: between looks, two pixels are another expression to it."""
    videos = sorted((small_corpus / "DataSet").rglob("*.*"))
    for video in islice(readable(videos), 2):
        faces_are_stocks(video, network)
        embeddings_are_stocks(*faces_are_stocks(video, network, every=1))


def test_on_real_people(real_corpus: Path, network: Embedder) -> None:
    videos = sorted((real_corpus / "DataSet").rglob("*.*"))
    pairs = [faces_are_stocks(video, network) for video in readable(videos)]
    assert len(pairs) == 12
    for here, there in pairs:
        if len(here):  # one clip shows nobody
            embeddings_are_stocks(here, there)
    faces_are_told_apart(pairs)
