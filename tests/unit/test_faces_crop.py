import numpy as np
import pytest
from facenet_pytorch.models.utils.detect_face import extract_face
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.data import astronaut

from affectflow.faces.crop import TEMPLATE, crop, crop_aligned, similarity

IMAGE = astronaut()
HEIGHT, WIDTH = IMAGE.shape[:2]
LANDMARKS = np.array([[205, 105], [243, 103], [226, 128], [209, 150], [241, 148]], np.float32)


@settings(max_examples=50)
@given(
    st.floats(-40, 400, width=32),
    st.floats(-40, 400, width=32),
    st.floats(45, 200, width=32),
    st.floats(45, 200, width=32),
    st.sampled_from([(160, 0), (224, 0), (224, 32), (160, 14)]),
)
def test_the_same_pixels_as_facenet_pytorch(
    x: float, y: float, width: float, height: float, how: tuple[int, int]
) -> None:
    box = np.array([x, y, x + width, y + height], np.float32)
    size, margin = how
    stock = extract_face(IMAGE, box, image_size=size, margin=margin)
    ours = crop(IMAGE, box, size, margin)
    assert ours.dtype == np.uint8
    assert (ours == stock.numpy().transpose(1, 2, 0)).all()


@pytest.mark.parametrize("box", [[-90, -90, -30, -30], [600, 20, 700, 90], [80, 80, 80.5, 80.5]])
def test_a_box_without_pixels_still_gives_a_crop(box: list[float]) -> None:
    assert crop(IMAGE, np.array(box, np.float32), 64).shape == (64, 64, 3)


points = arrays(np.float64, (5, 2), elements=st.floats(-50, 50).map(lambda v: round(v, 3)))


@given(
    points.filter(lambda p: np.ptp(p, axis=0).min() > 1),
    st.floats(-np.pi, np.pi),
    st.floats(0.1, 10),
    st.floats(-100, 100),
)
def test_similarity_is_recovered(p: np.ndarray, angle: float, scale: float, shift: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(p, p @ turn.T + shift)
    assert matrix[:, :2] == pytest.approx(turn, abs=1e-6 * scale)
    assert p @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(p @ turn.T + shift, abs=1e-5)


@given(points.filter(lambda p: np.ptp(p, axis=0).min() > 1))
def test_similarity_never_mirrors(p: np.ndarray) -> None:
    assert np.linalg.det(similarity(p, p * [-1, 1])[:, :2]) >= 0


@pytest.mark.parametrize("degrees", [-30, 0, 75])
@pytest.mark.parametrize("enlarge", [0.5, 1, 4])
@pytest.mark.parametrize("margin", [0, 40])
def test_aligned_crops_do_not_hang_on_pose(degrees: float, enlarge: float, margin: int) -> None:
    import cv2

    matrix = cv2.getRotationMatrix2D((224.0, 128.0), degrees, enlarge)
    matrix[:, 2] += 256 * enlarge - np.array([224.0, 128.0])
    side = int(512 * enlarge)
    turned = cv2.warpAffine(IMAGE, matrix, (side, side), flags=cv2.INTER_CUBIC)
    landmarks = LANDMARKS @ matrix[:, :2].T + matrix[:, 2]
    ours = crop_aligned(turned, landmarks.astype(np.float32), 112, margin)
    straight = crop_aligned(IMAGE, LANDMARKS, 112, margin)
    assert np.abs(ours.astype(int) - straight).mean() < 9


def test_landmarks_come_to_lie_on_the_template() -> None:
    for size, margin in ((112, 0), (224, 0), (224, 44)):
        target = (TEMPLATE - 0.5) * (size - margin) + size / 2
        canvas = np.zeros((300, 300, 3), np.uint8)
        source = target * 0.5 + 60
        for x, y in source:
            canvas[round(y), round(x)] = 255
        aligned = crop_aligned(canvas, source, size, margin)
        for x, y in target:
            around = aligned[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
            assert around.max() > 100
