"""Videos that say odd things of themselves."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from affectflow.video.container import lenient, open_video


def test_a_title_in_another_encoding_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "title.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "a title in XXXXXX"
        stream = container.add_stream("mpeg4", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        image = np.zeros((64, 64, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    assert b"XXXXXX" in content
    path.write_bytes(content.replace(b"XXXXXX", "Français"[:6].encode("latin-1")))
    with open_video(path) as (file, video):
        assert len([*file.decode(video)]) == 1


@pytest.mark.parametrize(
    ("version", "named"), [("18.1.0", True), ("9.2.0", True), ("19.0.2", False), ("20.0", False)]
)
def test_each_pyav_is_asked_as_it_knows(version: str, named: bool) -> None:
    assert ("metadata_errors" in lenient(version)) == named
