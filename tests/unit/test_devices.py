"""Which device computes, and how exactly."""

from __future__ import annotations

import pytest
import torch

from affectflow.backbones.embedder import Embedder
from affectflow.backbones.weights import backbone
from affectflow.devices import choose
from affectflow.faces.detectors.mtcnn import build

CPU = torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="it shows what is told without a GPU")
@pytest.mark.parametrize("given", [True, False])
def test_a_job_whose_gpu_torch_does_not_find_says_so(
    given: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
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
