import numpy as np
import pytest
from skimage.data import astronaut

from affectflow.video import jpeg


def test_colours_survive() -> None:
    image = astronaut()[:301, :203]
    coded = jpeg.encode(image)
    assert bytes(coded[:2]) == b"\xff\xd8"
    back = jpeg.decode(coded)
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 3
    assert (jpeg.decode(coded.tobytes()) == back).all()
    assert len(jpeg.encode(image, quality=50)) < len(coded) / 2


@pytest.mark.parametrize("junk", [b"", b"no picture"])
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        jpeg.decode(junk)
