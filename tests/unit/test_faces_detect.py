"""A shard of faces: the same whether threads feed a GPU or one does all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from affectflow import busy
from affectflow.faces import clip, detect
from affectflow.faces.detect import detect_shard
from affectflow.faces.detection import Detections
from affectflow.joblog import FRAMES
from affectflow.shards.files import create
from affectflow.shards.frames import CONTENT, FrameWriter
from affectflow.video import jpeg, nvjpeg

SETTINGS: dict[str, Any] = {
    "detector": "fake",
    "min_size": 60,
    "every": 1,
    "align": "box",
    "margin": 0,
    "crop_size": 32,
}
LENGTHS = 7, 2, 0, 12, 5
FRAME = 64 * 48 * 3


class Darkest:
    """A detector that takes the place of the darkest pixel; sees nobody in bright images."""

    smallest = 0.0

    def __init__(self) -> None:
        self.inside, self.largest = 0, 0

    def detect(self, images: Sequence[np.ndarray], near: object = None) -> list[Detections]:
        self.inside += 1
        assert self.inside == 1, "a device was asked by two threads at once"
        self.largest = max(self.largest, len(images))
        found = [self.one(image) for image in images]
        self.inside -= 1
        return found

    def one(self, image: np.ndarray) -> Detections:
        if image.mean() > 150:
            return Detections.none()
        y, x = np.unravel_index(image.sum(2).argmin(), image.shape[:2])
        box = np.array([[x, y, x + 20, y + 16]], np.float32)
        return Detections(box, np.zeros((1, 5, 2), np.float32), np.ones(1, np.float32))


class Instant:
    """Stands in for one of a GPU's events."""

    def record(self) -> None:
        pass

    synchronize = record

    def query(self) -> bool:
        return True

    def elapsed_time(self, end: Instant) -> float:
        return 1.0


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    with create(tmp_path / "frames.h5", CONTENT, {}) as out:
        writer = FrameWriter(out, max(LENGTHS))
        for number, length in enumerate(LENGTHS):
            images = random.integers(0, 256, (length, 1, 1, 3)) + np.zeros((1, 48, 64, 1))
            images[:, 5 + number : 20, 5:25] = 0
            coded = [jpeg.encode(image.astype(np.uint8)) for image in images]
            writer.append(
                str(number), "ok", "", np.arange(length), np.arange(length) / 2.0, iter(coded)
            )
    return tmp_path / "frames.h5"


def faces(
    frames: Path, monkeypatch: pytest.MonkeyPatch, device: str, detector: Any, threads: int = 1
) -> dict[str, Any]:
    """Return all that a shard of faces holds."""
    monkeypatch.setattr(busy, "_clock", Instant)
    monkeypatch.setattr(detect, "build_detectors", lambda settings, device: [detector])
    target = frames.with_name("faces.h5")
    detect_shard(frames, SETTINGS, torch.device(device), target, threads=threads)
    with h5py.File(target) as file:
        return {name: file[name][:].tolist() for name in file} | {
            "crop": [[one.tobytes() for one in row] for row in file["crop"][:]],
            "time": np.nan_to_num(file["time"][:], nan=-1).tolist(),
            "made by": file.attrs["made_by"],
        }


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("memory", [1, 3 * FRAME, clip.MEMORY])
def test_threads_change_nothing(
    frames: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    threads: int,
    memory: int,
) -> None:
    monkeypatch.setattr(clip, "MEMORY", memory)
    monkeypatch.setattr(jpeg, "AHEAD", memory)
    detector = Darkest()
    with caplog.at_level("INFO"):
        alone = faces(frames, monkeypatch, "cpu", detector)
        fed = faces(frames, monkeypatch, "cuda", detector, threads)
    assert sum(map(sum, alone["mask"])) in range(5, sum(LENGTHS))
    assert fed == alone
    assert detector.largest == min(max(1, memory // FRAME), max(LENGTHS))
    assert all(FRAMES.search(line)[6] is not None for line in caplog.messages)  # type: ignore[index]


def test_the_next_clip_is_decoded_while_the_gpu_works(
    frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, real = threading.Semaphore(0), jpeg.decode

    def decode(file: np.ndarray | bytes) -> np.ndarray:
        decoded.release()
        return real(file)

    class Waiting(Darkest):
        waits = True

        def detect(self, images: Sequence[np.ndarray], near: object = None) -> list[Detections]:
            if self.waits:
                # The first clip's, and one more.
                assert all(decoded.acquire(timeout=10) for _ in range(LENGTHS[0] + 1))
                self.waits = False
            return super().detect(images)

    monkeypatch.setattr(jpeg, "decode", decode)
    assert sum(map(sum, faces(frames, monkeypatch, "cuda", Waiting(), 2)["mask"]))


def test_where_a_gpu_cannot_decode_the_cpu_does(
    frames: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = faces(frames, monkeypatch, "cpu", Darkest())
    monkeypatch.setitem(SETTINGS, "decode", "gpu")
    with caplog.at_level("INFO"):
        asked = faces(frames, monkeypatch, "cpu", Darkest())
    told = [line for line in caplog.messages if "the CPU decodes" in line]
    assert told == [
        "faces.decode: gpu: nvJPEG needs an NVIDIA GPU, and this job has cpu; the CPU decodes"
    ]
    assert "decoder" not in json.loads(asked.pop("made by"))
    usual.pop("made by")
    assert asked == usual


def test_a_file_says_that_a_gpu_decoded(frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0

    def decode_each(files: Iterable[np.ndarray], device: torch.device) -> Iterator[np.ndarray]:
        nonlocal decoded
        for image in map(jpeg.decode, files):
            decoded += 1
            yield image

    monkeypatch.setitem(SETTINGS, "decode", "gpu")
    monkeypatch.setattr(nvjpeg, "why_not", lambda device: "")
    monkeypatch.setattr(nvjpeg, "decode_each", decode_each)
    found = faces(frames, monkeypatch, "cuda", Darkest(), 2)
    assert json.loads(found["made by"])["decoder"] == "nvJPEG"
    # To look at each frame, and to cut each face.
    assert decoded == sum(LENGTHS) + sum(map(sum, found["mask"]))


def test_a_failure_in_a_thread_ends_the_job(frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Darkest):
        def detect(self, images: Sequence[np.ndarray], near: object = None) -> list[Detections]:
            raise RuntimeError("out of memory")

    for device in ("cpu", "cuda"):
        with pytest.raises(RuntimeError, match="out of memory"):
            faces(frames, monkeypatch, device, Broken(), 2)
    assert not frames.with_name("faces.h5").exists()
