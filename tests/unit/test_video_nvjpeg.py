"""JPEG decoded by a GPU, or told why not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import needs_gpu
from skimage.data import astronaut
from torch import Tensor
from torchvision.io import decode_jpeg

from affectflow.video import jpeg, nvjpeg

GPU = torch.device("cuda")


def on_cpu(files: list[Tensor], mode: Any, device: torch.device) -> Any:
    """Stands in for a GPU."""
    assert device == GPU
    return decode_jpeg(files, mode, "cpu")


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(8, 40), st.integers(8, 40)), max_size=40))
def test_files_come_in_order_whatever_their_sizes(sizes: list[tuple[int, int]]) -> None:
    files = [jpeg.encode(astronaut()[:height, :width]) for height, width in sizes]
    asked = []

    def read() -> Iterator[np.ndarray]:
        for file in files:
            asked.append(file)
            yield file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nvjpeg, "decode_jpeg", on_cpu)
        for place, image in enumerate(nvjpeg.decode_each(read(), GPU)):
            wanted = jpeg.decode(files[place])
            assert image.dtype == np.uint8 and image.shape == wanted.shape
            assert np.abs(image.astype(int) - wanted).mean() < 1
            # Its own batch, and the next.
            assert len(asked) <= (place // nvjpeg.BATCH + 2) * nvjpeg.BATCH
        assert len(asked) == len(files)


def test_it_may_be_used_if_its_pixels_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvjpeg, "decode_jpeg", on_cpu)
    assert nvjpeg.why_not(GPU) == ""


def test_why_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(files: list[Tensor], mode: Any, device: torch.device) -> Any:
        return [image.flip(0) for image in on_cpu(files, mode, device)]

    def without(files: list[Tensor], mode: Any, device: torch.device) -> Any:
        raise RuntimeError("decode_jpegs_cuda: torchvision not compiled with nvJPEG support\n...")

    assert "this job has cpu" in nvjpeg.why_not(torch.device("cpu"))
    monkeypatch.setattr(nvjpeg, "decode_jpeg", swapped)
    assert "levels from libjpeg's" in nvjpeg.why_not(GPU)
    monkeypatch.setattr(nvjpeg, "decode_jpeg", without)
    assert nvjpeg.why_not(GPU).endswith("torchvision not compiled with nvJPEG support")


def test_torchvision_itself_says_why_not() -> None:
    """No GPU is found, also where there is one."""
    program = (
        "import torch; from affectflow.video import nvjpeg;"
        "print(nvjpeg.why_not(torch.device('cuda')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip()


@needs_gpu
def test_a_gpus_pixels_are_near() -> None:
    assert nvjpeg.why_not(GPU) == ""
    image = astronaut()
    files = [jpeg.encode(image[: 480 - i]) for i in range(40)]
    for file, found in zip(files, nvjpeg.decode_each(files, GPU), strict=True):
        wanted = jpeg.decode(file)
        assert found.shape == wanted.shape
        assert np.abs(found.astype(int) - wanted).mean() < nvjpeg.NEAR
