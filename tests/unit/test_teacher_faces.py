import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.data import astronaut

from affectflow.backbones.embedder import stack
from affectflow.errors import UserError
from affectflow.teacher.faces import Face, examine, fault_of, read_face, usable_box
from affectflow.video import jpeg

PORTRAIT = astronaut()
SMALL = PORTRAIT[::4, ::4]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(PORTRAIT).save(path)
    return path


def test_a_box_is_cut_and_resized_as_the_pipeline_does(photo: Path) -> None:
    seen = read_face(Face(photo, (0.25, 0.0, 0.75, 0.5)), 140)
    assert seen.shape == (140, 140, 3)
    assert seen.dtype == np.uint8
    assert (seen == stack([PORTRAIT[:256, 128:384]], 140)[0]).all()


def test_without_a_box_the_whole_image_in_rgb(photo: Path) -> None:
    assert (read_face(Face(photo, None), 512) == PORTRAIT).all()


def test_a_box_that_reaches_out_is_cut_at_the_edge(photo: Path) -> None:
    out = read_face(Face(photo, (-0.5, -1.0, 0.5, 0.5)), 64)
    assert (out == read_face(Face(photo, (0.0, 0.0, 0.5, 0.5)), 64)).all()


@pytest.mark.parametrize(
    "box",
    [
        (math.nan, 0.0, 1.0, 1.0),
        (0.0, 0.0, math.inf, 1.0),
        (0.6, 0.0, 0.4, 1.0),
        (0.5, 0.5, 0.5, 0.6),
        (1.2, 0.0, 1.5, 1.0),
        (-0.5, -0.5, -0.1, -0.1),
    ],
)
def test_a_box_outside_of_the_image_is_told(
    photo: Path, box: tuple[float, float, float, float]
) -> None:
    with pytest.raises(UserError, match="not in the image") as caught:
        read_face(Face(photo, box), 32)
    assert caught.value.remedy


@given(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 4))
def test_a_usable_box_has_an_inside(box: tuple[float, float, float, float]) -> None:
    cut = usable_box(box)
    if cut is not None:
        assert 0 <= cut[0] < cut[2] <= 1
        assert 0 <= cut[1] < cut[3] <= 1
        assert usable_box(cut) == cut


@given(st.integers(0, 6_000))
def test_a_cut_file_is_broken(tmp_path_factory: pytest.TempPathFactory, kept: int) -> None:
    whole = jpeg.encode(SMALL).tobytes()
    assert fault_of(whole) is None
    path = tmp_path_factory.mktemp("cut") / "face.jpg"
    path.write_bytes(whole[: min(kept, len(whole) - 200)])
    assert examine(path).fault
    with pytest.raises(UserError):
        read_face(Face(path, None), 32)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"]))
def test_junk_is_told_in_words(junk: bytes, head: bytes) -> None:
    assert fault_of(head + junk)


def test_what_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "face.jpg"
    folder.mkdir()
    gone = tmp_path / "gone.jpg"
    gone.symlink_to(tmp_path / "nowhere.jpg")
    assert examine(folder).fault == "is a folder"
    assert examine(gone).fault == "no such file"
    assert examine(gone).missing
    (tmp_path / "text.jpg").write_text("<html>not found</html>")
    assert examine(tmp_path / "text.jpg").fault == "is no image"


def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (9_000, 9_000)).save(path)
    assert "pixels" in (examine(path).fault)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_kind_of_image_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("face.jpg" if mode == "CMYK" else "face.png")
    Image.fromarray(PORTRAIT).convert(mode).save(path)
    assert read_face(Face(path, None), 40).shape == (40, 40, 3)


@pytest.mark.parametrize("decode", [True, False])
def test_a_photo_that_lies_on_its_side_is_turned(tmp_path: Path, decode: bool) -> None:
    path = tmp_path / "lying.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # show it turned clockwise
    Image.fromarray(PORTRAIT[:200]).save(path, exif=exif, quality=95)
    assert examine(path, decode).size == (200, 512)
    upright = read_face(Face(path, (0.0, 0.0, 1.0, 1.0)), 100)
    wanted = cv2.rotate(PORTRAIT[:200], cv2.ROTATE_90_CLOCKWISE)
    assert np.abs(upright.astype(int) - stack([wanted], 100)[0]).mean() < 3
