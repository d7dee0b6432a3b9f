import weakref
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from affectflow.errors import UserError
from affectflow.faces import clip
from affectflow.faces.clip import build_detectors, find_faces, iter_crops
from affectflow.faces.crop import crop, crop_aligned
from affectflow.faces.detection import Detections, Detector
from affectflow.video import jpeg
from affectflow.video.decode import read_clip
from affectflow.video.sampling import Sampling

HEAD = astronaut()[20:220, 120:330]


def scene(*heads: tuple[int, int, int]) -> np.ndarray:
    """Return a JPEG of the portrait's head at (x, y) and so high."""
    image = np.full((300, 640, 3), 90, np.uint8)
    for x, y, height in heads:
        width = height * HEAD.shape[1] // HEAD.shape[0]
        image[y : y + height, x : x + width] = cv2.resize(
            HEAD, (width, height), interpolation=cv2.INTER_AREA
        )
    return jpeg.encode(image)


@pytest.fixture(scope="module")
def detectors() -> list[Detector]:
    return build_detectors({"detector": "mtcnn", "min_size": 60, "fallback_size": 20}, "cpu")


def test_arrays_of_a_clip(detectors: list[Detector]) -> None:
    frames = [scene((40, 40, 200)), scene(), scene((42, 44, 200), (400, 60, 170))]
    faces = find_faces(frames, detectors)
    crops = list(iter_crops(frames, faces, size=96))
    assert faces.mask.tolist() == [True, False, True]
    assert faces.face_count.tolist() == [1, 0, 2]
    for array, dtype, shape in (
        (faces.box, np.float32, (3, 4)),
        (faces.landmarks, np.float32, (3, 5, 2)),
        (faces.score, np.float32, (3,)),
        (faces.face_count, np.int16, (3,)),
        (faces.mask, np.bool_, (3,)),
    ):
        assert array.dtype == dtype
        assert array.shape == shape
        assert not array[1].any()
    assert np.abs(faces.box[0] - faces.box[2]).max() < 12
    assert crops[1] is None
    assert crops[0] is not None
    assert (crops[0] == crop(jpeg.decode(frames[0]), faces.box[0], 96)).all()


def test_aligned_crops(detectors: list[Detector]) -> None:
    frames = [scene((40, 40, 200))]
    faces = find_faces(frames, detectors)
    (aligned,) = iter_crops(frames, faces, size=96, margin=8, align="landmarks")
    expected = crop_aligned(jpeg.decode(frames[0]), faces.landmarks[0], 96, 8)
    assert aligned is not None
    assert (aligned == expected).all()


def test_people_far_away_are_searched_closer_in_every_frame(detectors: list[Detector]) -> None:
    """The near one passes; alone, the quick detector would follow him and miss the far one."""
    far = (300, 60, 50)
    frames = [scene(far), scene(far), scene(far, (20, 50, 220)), scene(far)]
    quick = find_faces(frames, detectors[:1])
    assert quick.face_count.tolist() == [0, 0, 1, 0]
    both = find_faces(frames, detectors)
    assert both.face_count.tolist() == [1, 1, 2, 1]
    assert np.ptp(both.box, axis=0).max() < 6


def test_small_faces_are_searched_closer_though_they_were_seen(detectors: list[Detector]) -> None:
    """The first detector sees some that are smaller than it is made for, and others it does not."""
    quick, closer = detectors

    class Lucky:
        smallest = quick.smallest

        def detect(self, images: Sequence[np.ndarray], near: object = None) -> list[Detections]:
            return [Detections(*(part[:1] for part in one)) for one in map(parts, self.all(images))]

        def all(self, images: Sequence[np.ndarray]) -> list[Detections]:
            return closer.detect(images)

    def parts(faces: Detections) -> tuple[np.ndarray, ...]:
        return faces.boxes, faces.landmarks, faces.scores

    small = [scene((300, 60, 48), (60, 60, 50))] * 3
    assert find_faces(small, [Lucky()]).face_count.tolist() == [1, 1, 1]
    assert find_faces(small, [Lucky(), closer]).face_count.tolist() == [2, 2, 2]
    large = [scene((300, 60, 48), (60, 40, 200))] * 3
    assert find_faces(large, [Lucky(), closer]).face_count.tolist() == [1, 1, 1]


def test_files_are_read_a_few_at_a_time(
    detectors: list[Detector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour's frames are gigabytes."""
    kept = most = 0
    file = np.frombuffer(scene((40, 40, 200)), np.uint8)

    def gone() -> None:
        nonlocal kept
        kept -= 1

    class Stored(Sequence[np.ndarray]):
        def __len__(self) -> int:
            return 12

        def __getitem__(self, place):
            nonlocal kept, most
            if not 0 <= place < 12:
                raise IndexError(place)
            read = file.copy()
            weakref.finalize(read, gone)
            kept += 1
            most = max(most, kept)
            return read

    monkeypatch.setattr(clip, "MEMORY", 1)
    faces = find_faces(Stored(), detectors)
    assert faces.mask.all()
    assert len(list(iter_crops(Stored(), faces, 96))) == 12
    assert most <= 2


def test_a_calm_clip_is_looked_at_now_and_then(detectors: list[Detector]) -> None:
    """A head that moves a pixel per frame: found where it is, also in frames nobody looked at."""

    class Counting:
        seen, smallest = 0, 0.0

        def detect(self, images: Sequence[np.ndarray], near: object = None) -> list[Detections]:
            self.seen += len(images)
            return detectors[0].detect(images)

    frames = [scene((40 + i, 40, 200)) for i in range(9)]
    counting = Counting()
    faces = find_faces(frames, [counting], every=4)
    assert counting.seen == 3
    each = find_faces(frames, detectors[:1])
    assert faces.mask.all() and (faces.face_count == 1).all()
    assert np.abs(faces.box - each.box).max() < 5
    assert np.abs(faces.landmarks - each.landmarks).max() < 5


def test_no_second_look_unless_asked() -> None:
    settings = {"detector": "mtcnn", "min_size": 60}
    assert len(build_detectors(settings, "cpu")) == 1
    assert len(build_detectors(settings | {"fallback_size": None}, "cpu")) == 1
    assert len(build_detectors(settings | {"fallback_size": 60}, "cpu")) == 1
    with pytest.raises(UserError, match="mtcn"):
        build_detectors(settings | {"detector": "mtcn"}, "cpu")


def test_a_clip_without_frames(detectors: list[Detector]) -> None:
    faces = find_faces([], detectors)
    assert faces.box.shape == (0, 4)
    assert list(iter_crops([], faces)) == []


def test_a_margin_as_large_as_the_crop_is_refused(detectors: list[Detector]) -> None:
    frames = [scene((40, 40, 200))]
    faces = find_faces(frames, detectors)
    with pytest.raises(UserError, match="margin"):
        list(iter_crops(frames, faces, size=64, margin=64))


@pytest.mark.parametrize(
    ("clip", "stock"),
    [
        ("Train/210003/2100031001/2100031001.avi", 1.0),
        ("Test/410001/4100011001/4100011001.avi", 0.47),
        ("Test/410002/4100021001/4100021001.mp4", 1.0),
        ("Test/410003/4100031001/4100031001.avi", 0.0),
    ],
)
def test_coverage_is_near_stock_s(
    real_corpus: Path, detectors: list[Detector], clip: str, stock: float
) -> None:
    """The shared corpus' stock coverage is of 30 frames; 10 keep this test short."""
    images = read_clip(real_corpus / "DataSet" / clip, Sampling(per_clip=10)).images
    faces = find_faces([jpeg.encode(image) for image in images], detectors)
    assert faces.mask.mean() == pytest.approx(stock, abs=0.1)
    assert (faces.mask == (faces.face_count > 0)).all()
