"""Frames right from videos: those of a shard of frames, without JPEG where there is room."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from affectflow.errors import UserError
from affectflow.shards.files import open_complete
from affectflow.shards.frames import CONTENT, Frames, iterate
from affectflow.video import decode, direct, extract, jpeg
from affectflow.video.decode import iter_frames, plan_clip, promised_places, read_frames
from affectflow.video.sampling import Sampling

VIDEOS = [("long", "long.mp4"), ("gone", "gone.avi"), ("cut", "cut.avi"), ("short", "short.avi")]
NOISE = np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3), np.uint8)


def write(path: Path, frames: int, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 4_000_000
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(NOISE[i % len(NOISE)], format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    write(folder / "long.mp4", 40, "libx264")
    write(folder / "short.avi", 3, "mpeg4")
    write(folder / "whole.avi", 40, "mpeg4")
    whole = (folder / "whole.avi").read_bytes()
    (folder / "cut.avi").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often a video's packets are decoded."""
    began: list[int] = []
    original = decode.decoded

    def counted(*arguments: Any) -> Iterator[av.VideoFrame]:
        began.append(1)
        return original(*arguments)

    monkeypatch.setattr(decode, "decoded", counted)
    return began


def extracted(root: Path, settings: dict[str, Any], target: Path) -> list[Frames]:
    extract.extract_shard(VIDEOS, root, settings, target)
    with open_complete(target, CONTENT) as file:
        return [
            Frames(**{**vars(clip), "images": [image.copy() for image in clip.images]})
            for clip in iterate(file)
        ]


@pytest.mark.parametrize("settings", [{"per_clip": 7}, {"per_clip": 100}, {"fps": 10}])
@pytest.mark.parametrize("threads", [0, 3])
def test_the_same_frames_but_for_jpeg(
    root: Path, tmp_path: Path, settings: dict[str, Any], threads: int
) -> None:
    wanted = extracted(root, settings, tmp_path / "frames.h5")
    found = [*direct.iter_clips(VIDEOS, root, settings, threads)]
    assert [clip.status for clip in found] == [clip.status for clip in wanted]
    assert [clip.status for clip in found][1:3] == ["undecodable", "truncated"]
    for here, there, (_, path) in zip(found, wanted, VIDEOS, strict=True):
        assert (here.clip_id, here.detail) == (there.clip_id, there.detail)
        assert np.array_equal(here.frame_index, there.frame_index)
        assert np.array_equal(here.time, there.time)
        plan = plan_clip(root / path, Sampling.from_settings(settings))
        pixels = [frame.image for frame in iter_frames(plan)]
        assert len(pixels) == len(here.images) == len(there.images)
        for own, image, file in zip(here.images, pixels, there.images, strict=True):
            assert np.array_equal(own, image)
            assert np.array_equal(jpeg.encode(own), file)


@pytest.mark.parametrize("limit", ["ROOM", "KEPT"])
def test_long_clips_are_kept_as_jpeg(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """In memory, or on disk with nothing left of it."""
    wanted = extracted(root, {"per_clip": 30}, tmp_path / "frames.h5")
    monkeypatch.setattr(direct, limit, {"ROOM": 29 * NOISE[0].nbytes, "KEPT": 29}[limit])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    long, *_, short = direct.iter_clips(VIDEOS, root, {"per_clip": 30})
    assert [*scratch.iterdir()] == []
    assert isinstance(long.images, list) == (limit == "ROOM")
    assert short.images[0].ndim == 3
    for own, file in zip(long.images, wanted[0].images, strict=True):
        assert np.array_equal(own, file)


def test_a_sound_file_is_decoded_once(root: Path, tmp_path: Path, passes: list[int]) -> None:
    [*direct.iter_clips([VIDEOS[0]], root, {"per_clip": 7})]
    assert len(passes) == 1
    extract.extract_shard([VIDEOS[0]], root, {"fps": 10}, tmp_path / "frames.h5")
    assert len(passes) == 2


def test_so_is_one_that_was_cut(root: Path, passes: list[int]) -> None:
    """What is left of it is sound."""
    places = promised_places(root / "whole.avi", Sampling(per_clip=7))
    (clip,) = direct.iter_clips([VIDEOS[2]], root, {"per_clip": 7})
    assert clip.frame_index[-1] < places[-1]
    assert len(clip.images) == 7
    assert len(passes) == 1


def test_a_file_that_lies_is_decoded_again(
    root: Path, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [frame.image for frame in iter_frames(plan_clip(root / "long.mp4", Sampling(5)))]
    passes.clear()
    monkeypatch.setattr(decode, "promised_places", lambda *_: np.array([1, 2, 50]))
    plan, images = read_frames(root / "long.mp4", Sampling(5), lambda images, _: iter(images), 9)
    assert plan.frame_index.tolist() == [4, 12, 20, 28, 36]
    assert all(map(np.array_equal, images, wanted))
    assert len(passes) == 2


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there"):
        [*direct.iter_clips(VIDEOS, tmp_path / "gone", {"per_clip": 3})]


def test_temporary_frames_outlive_their_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "KEPT", 2)
    clips = [*direct.iter_clips([VIDEOS[0]] * 3, root, {"per_clip": 10})]
    for clip in clips:
        assert isinstance(clip.images, direct.FilesOnDisk)
        assert len([image.copy() for image in clip.images]) == 10


DECODE = """
import sys
from argparse import ArgumentParser
from pathlib import Path
from affectflow.commandline import run
from affectflow.video import direct

def main(arguments):
    direct.KEPT = 2
    videos = [("long", "long.mp4")] * 8
    clips = [*direct.iter_clips(videos, arguments.root, {"per_clip": 40}, arguments.threads)]
    print(len(clips))

parser = ArgumentParser()
parser.add_argument("--root", type=Path)
parser.add_argument("--threads", type=int)
run(parser, main)
"""


@pytest.mark.parametrize("threads", ["0", "2"])
def test_a_full_disk_of_temporary_files_is_told(
    root: Path, tmp_path: Path, small_disk: Callable[[Path, int], None], threads: str
) -> None:
    """In a process of its own: HDF5, which once held these frames, ended it without a word."""
    small_disk(tmp_path, 2**18)
    command = [sys.executable, "-c", DECODE, "--root", str(root), "--threads", threads]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    said = f"error: temporary files (TMPDIR is {tmp_path}): No space left on device"
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert [*tmp_path.iterdir()] == []
