"""Files that are videos whatever their names say, and files that are none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from affectflow.video.decode import plan_clip, read_clip
from affectflow.video.sampling import Sampling


def write(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 77, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["%03d.avi", "concat:a.avi", "a|b?c#d%20e.avi", "-x\n[1]*.avi"])
def test_names_that_mean_something_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path / "plain.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    clip = read_clip(Path(name), Sampling(per_clip=3))
    assert (clip.status, clip.frames) == ("ok", 3)


def test_a_picture_is_itself_whatever_its_name(tmp_path: Path) -> None:
    for name, shade in (("a%03d.jpg", 50), ("a001.jpg", 200)):
        cv2.imwrite(str(tmp_path / name), np.full((48, 64, 3), shade, np.uint8))
    clip = read_clip(tmp_path / "a%03d.jpg", Sampling(per_clip=9))
    assert [image.mean() for image in clip.images] == pytest.approx([50], abs=2)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.avi")
    (tmp_path / "loop.avi").symlink_to("loop.avi")
    (tmp_path / "gone.avi").symlink_to("nowhere.avi")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s.avi"))
    expected = {
        "pipe.avi": "a pipe, socket or device",
        "s.avi": "a pipe, socket or device",
        "loop.avi": "symbolic links",
        "gone.avi": "a link to a file that is not there",
        "x" * 300 + ".avi": "too long",
        "x/" * 3000 + "a.avi": "too long",
        "nul\0.avi": "null",
    }
    with listening:
        for name, why in expected.items():
            clip = plan_clip(tmp_path / name, Sampling(fps=10))
            assert clip.status == "undecodable"
            assert why in clip.detail
