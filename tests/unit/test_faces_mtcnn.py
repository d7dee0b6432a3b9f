from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from needs import needs_gpu
from skimage.data import astronaut

from affectflow.faces.detection import Detections
from affectflow.faces.detectors import mtcnn
from affectflow.faces.detectors.mtcnn import build
from affectflow.faces.pyramid import first_scale
from affectflow.faces.resample import integral_images
from affectflow.video.decode import read_clip
from affectflow.video.sampling import Sampling


def assert_stock(found: Detections, image: np.ndarray, min_size: int) -> None:
    """Compare with what stock finds, given the same first scale."""
    stock = MTCNN(min_face_size=12 / first_scale(min_size))
    boxes, scores, landmarks = stock.detect(image, landmarks=True)
    if boxes is None:
        assert len(found) == 0
        return
    assert found.boxes == pytest.approx(boxes.astype(float), abs=1e-3)
    assert found.landmarks == pytest.approx(landmarks.astype(float), abs=1e-3)
    assert found.scores == pytest.approx(scores.astype(float), abs=1e-5)


def crowd() -> list[np.ndarray]:
    """Return images of several sizes: a portrait, several of it, none, noise, a sliver."""
    portrait = astronaut()
    head = portrait[20:220, 120:330]
    several = np.zeros((260, 640, 3), np.uint8)
    several[20:220, 10:220] = head
    several[60:160, 300:405] = cv2.resize(head, (105, 100))
    several[80:210, 500:636] = cv2.resize(head, (136, 130))
    noise = np.random.default_rng(0).integers(0, 256, (260, 640, 3), np.uint8)
    return [
        portrait,
        several,
        np.zeros_like(several),
        portrait[:, ::-1].copy(),
        noise,
        several[:, ::-1].copy(),
        portrait[:15, :400],
    ]


@pytest.mark.parametrize("min_size", [20, 60])
def test_a_batch_of_sizes_gives_what_stock_gives_each(min_size: int) -> None:
    images = crowd()
    found = build({"min_size": min_size}, "cpu").detect(images)
    assert [len(faces) for faces in found] == [1, 3, 0, 1, 0, 3, 0]
    for faces, image in zip(found[:-1], images[:-1], strict=True):
        assert_stock(faces, image, min_size)
        assert [a.dtype for a in (faces.boxes, faces.landmarks, faces.scores)] == [np.float32] * 3


@pytest.mark.parametrize(("together", "least"), [(64, 16), (16, 1)])
def test_candidates_that_fill_a_batch_change_nothing(
    together: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU gets them; whatever their number, it is shown few numbers of them."""
    detector = build({"min_size": 20}, "cpu")
    wanted = detector.detect(crowd())
    shown = set()

    def standard(pixels: torch.Tensor) -> torch.Tensor:
        shown.add(len(pixels))
        return before(pixels)

    before = mtcnn._standard
    monkeypatch.setattr(mtcnn, "_standard", standard)
    monkeypatch.setitem(mtcnn.CANDIDATES, "cpu", together)
    monkeypatch.setitem(mtcnn.FILLED, "cpu", least)
    for here, there in zip(detector.detect(crowd()), wanted, strict=True):
        assert here.boxes == pytest.approx(there.boxes, abs=1e-3)
        assert here.landmarks == pytest.approx(there.landmarks, abs=1e-3)
    sizes = {size for size in (1, 2, 4, 8, 16, 32, 64) if least <= size <= together}
    assert shown <= sizes and together in shown


def test_landmarks_are_eyes_nose_and_mouth_as_seen() -> None:
    (faces,) = build({"min_size": 60}, torch.device("cpu")).detect([astronaut()])
    left, right, nose, mouth_left, mouth_right = faces.landmarks[0]
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    assert faces.scores[0] > 0.9999


def test_no_images_and_no_faces() -> None:
    detector = build({"min_size": 60}, "cpu")
    assert detector.detect([]) == []
    black = np.zeros((100, 120, 3), np.uint8)
    for faces in detector.detect([black, black, black[:30, :30]]):
        assert faces.boxes.shape == (0, 4)
        assert faces.landmarks.shape == (0, 5, 2)
        assert faces.scores.shape == (0,)


def test_thresholds_are_passed_on() -> None:
    strict = build({"min_size": 60, "thresholds": [0.6, 0.7, 1.0]}, "cpu")
    assert len(strict.detect([astronaut()])[0]) == 0


def test_images_do_not_hang_on_their_batch() -> None:
    detector = build({"min_size": 60}, "cpu")
    images = crowd()[:3]
    alone = [detector.detect([image])[0] for image in images]
    for one, other in zip(detector.detect(images[::-1] + images)[3:], alone, strict=True):
        assert one.boxes == pytest.approx(other.boxes, abs=1e-3)


def test_larger_images_come_in_smaller_batches() -> None:
    detector = build({"min_size": 60}, "cpu")
    sizes = [detector.batch_size(*shape) for shape in ((240, 320), (480, 640), (1080, 1920))]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[1] > sizes[2] >= 1
    assert detector.batch_size(20_000, 20_000) == 1
    assert build({"min_size": 20}, "cpu").batch_size(480, 640) < sizes[1]


@pytest.mark.parametrize("min_size", [20, 60])
def test_near_a_box_a_face_gets_the_box_that_it_gets_anyway(min_size: int) -> None:
    """With others around."""
    detector = build({"min_size": min_size}, "cpu")
    random, images, near, wanted = np.random.default_rng(0), [], [], []
    for image, faces in zip(crowd(), detector.detect(crowd()), strict=True):
        for box in faces.boxes:
            off = random.uniform(-0.4, 0.4, (2, 2)) * np.ptp(box.reshape(2, 2), axis=0)
            images.append(image)
            # Between two places of a head that moves fast.
            near.append((box + np.tile(off - off.mean(0), 2)).astype(np.float32))
            wanted.append(box)
    assert len(wanted) == 8
    for found, box in zip(detector.detect(images, near), wanted, strict=True):
        assert np.abs(found.boxes - box).max(1).min() < 1e-3


def test_near_a_box_nobody_is_found_elsewhere() -> None:
    detector = build({"min_size": 60}, "cpu")
    (found,) = detector.detect([crowd()[1]], [np.float32([[10, 20, 200, 220]])])
    assert len(found) == 1 and found.boxes[0, 2] < 230
    nowhere = [np.float32([[-90, -80, -20, -10]]), np.float32([[900, 900, 902, 903]])]
    assert [len(one) for one in detector.detect([crowd()[2]] * 2, nowhere)] == [0, 0]


@needs_gpu
def test_a_gpu_finds_what_a_cpu_finds() -> None:
    images = [astronaut(), astronaut()[::-1].copy(), astronaut()[:300, 40:]]
    sums = [integral_images(images[:2], torch.device(name)).cpu() for name in ("cpu", "cuda")]
    assert torch.equal(*sums)
    for min_size in (20, 60):
        found, wanted = (
            build({"min_size": min_size}, name).detect(images) for name in ("cuda", "cpu")
        )
        near = [faces.boxes[:1] for faces in wanted if len(faces)]
        seen = [image for image, faces in zip(images, wanted, strict=True) if len(faces)]
        found += build({"min_size": min_size}, "cuda").detect(seen, near)
        wanted += build({"min_size": min_size}, "cpu").detect(seen, near)
        for here, there in zip(found, wanted, strict=True):
            np.testing.assert_allclose(here.boxes, there.boxes, atol=0.05)
            np.testing.assert_allclose(here.landmarks, there.landmarks, atol=0.05)


def test_mtcnn_s_own_example(shared: Path) -> None:
    """facenet-pytorch's and ipazc/mtcnn's ivan.jpg: x, y, width, height 277, 90, 48, 63."""
    image = cv2.imread(str(shared / "media" / "ivan.jpg"))[:, :, ::-1].copy()
    (faces,) = build({"min_size": 20}, "cpu").detect([image])
    x0, y0, x1, y1 = faces.boxes[0]
    assert [x0, y0, x1 - x0, y1 - y0] == pytest.approx([277, 90, 48, 63], abs=5)


@pytest.mark.parametrize("min_size", [20, 60])
@pytest.mark.parametrize(
    "clip",
    [
        "Train/210001/2100011001/2100011001.avi",
        "Train/210002/2100021001/2100021001.mp4",
        "Test/410001/4100011001/4100011001.avi",
        "Test/410002/4100021001/4100021001.mp4",
        "Test/410003/4100031001/4100031001.avi",
    ],
)
def test_stock_boxes_on_the_corpus(clip: str, min_size: int, real_corpus: Path) -> None:
    images = read_clip(real_corpus / "DataSet" / clip, Sampling(per_clip=2)).images
    found = build({"min_size": min_size}, "cpu").detect(images)
    for faces, image in zip(found, images, strict=True):
        assert_stock(faces, image, min_size)
