"""Which device computes, and how exactly."""

from __future__ import annotations

import pytest
import torch

from affectflow.backbones.embedder import Embedder
from affectflow.backbones.weights import backbone
from affectflow.devices import choose
from affectflow.errors import UserError
from affectflow.faces.detectors.mtcnn import build

CPU = torch.device("cpu")


def test_device_is_what_torch_finds() -> None:
    assert choose("cpu") == CPU
    found = choose("auto").type
    if torch.cuda.is_available():
        assert found == "cuda"
    else:
        assert found in {"mps", "cpu"}
        with pytest.raises(UserError, match="cuda is asked for"):
            choose("cuda")
    with pytest.raises(UserError, match="unknown device 'gpu'"):
        choose("gpu")


@pytest.mark.parametrize("given", [True, False])
def test_a_job_whose_gpu_torch_does_not_find_says_so(
    given: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SLURM_JOB_GPUS", "0" if given else "")
    assert choose("auto").type in ("cpu", "mps")
    assert ["goes on without" in line for line in caplog.messages] == [True] * given


def test_detector_and_backbones_compute_in_whole_float32() -> None:
    def network() -> Embedder:
        spec = backbone("resnet18")
        return Embedder(spec, spec.build().eval(), CPU)

    for begin in (lambda: build({}, CPU), network):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        begin()
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
