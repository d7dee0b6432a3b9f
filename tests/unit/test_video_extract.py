"""Frames of a shard's videos: the same bytes, however many threads encode them."""

from __future__ import annotations

import weakref
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectflow.video import decode, extract
from affectflow.video.extract import extract_shard
from affectflow.video.pixels import Upright

VIDEOS = [("long", "long.avi"), ("gone", "gone.avi"), ("short", "short.avi")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    random = np.random.default_rng(0)
    for name, frames in (("long", 40), ("short", 3)):
        with av.open(str(folder / f"{name}.avi"), "w") as container:
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(frames):
                image = random.integers(0, 256, (48, 64, 3), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
    return folder


def frames(root: Path, asked: dict[str, int], threads: int) -> list[list[bytes]]:
    target = root / f"frames-{threads}.h5"
    extract_shard(VIDEOS, root, asked, target, threads=threads)
    with h5py.File(target) as file:
        return [[one.tobytes() for one in row] for row in file["jpeg"][:]]


@settings(max_examples=20)
@given(st.integers(1, 50), st.integers(1, 100), st.sampled_from([2, 5]))
def test_threads_change_no_byte(root: Path, per_clip: int, quality: int, threads: int) -> None:
    asked = {"per_clip": per_clip, "jpeg_quality": quality}
    alone = frames(root, asked, 1)
    assert [sum(map(bool, row)) for row in alone] == [min(per_clip, 40), 0, min(per_clip, 3)]
    assert frames(root, asked, threads) == alone


@pytest.mark.parametrize("kept_files", [0, 1000])
@pytest.mark.parametrize(("threads", "most"), [(1, 2), (3, 9)])
def test_a_few_frames_are_in_memory(
    root: Path, monkeypatch: pytest.MonkeyPatch, threads: int, most: int, kept_files: int
) -> None:
    kept = seen = 0

    def gone() -> None:
        nonlocal kept
        kept -= 1

    class Counted(Upright):
        def __call__(self, frame: av.VideoFrame) -> np.ndarray:
            nonlocal kept, seen
            image = super().__call__(frame)
            weakref.finalize(image, gone)
            kept += 1
            seen = max(seen, kept)
            return image

    monkeypatch.setattr(extract, "KEPT", kept_files)
    monkeypatch.setattr(decode, "Upright", Counted)
    frames(root, {"per_clip": 40}, threads)
    assert 0 < seen <= most
