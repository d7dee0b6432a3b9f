"""Backbones in other precisions than fp32."""

from __future__ import annotations

import operator
from pathlib import Path

import numpy as np
import pytest
import torch
from needs import needs_gpu
from torch import nn
from torch.nn import functional

from affectflow import registry
from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import Embedder, stack
from affectflow.backbones.precision import choose, cosines, quickened
from affectflow.backbones.spec import Backbone
from affectflow.backbones.weights import backbone
from affectflow.errors import UserError
from affectflow.shards.embeddings import CONTENT as EMBEDDINGS
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.faces import PER_FRAME, face_rows
from affectflow.shards.files import create, open_complete
from affectflow.video import jpeg

CPU = torch.device("cpu")
HAS = torch.cpu.get_capabilities()
VNNI = bool(HAS.get("avx512_vnni") or HAS.get("avx_vnni"))
BF16 = bool(HAS.get("avx512_bf16") or HAS.get("amx_bf16"))
needs_vnni = pytest.mark.skipif(
    not VNNI, reason="int8 needs a CPU with VNNI (Intel since 2019, AMD since Zen 4)"
)
CROPS = [np.random.default_rng(i).integers(0, 256, (224, 224, 3), np.uint8) for i in range(9)]


def network(name: str) -> nn.Module:
    torch.manual_seed(1)
    return backbone(name).build().eval().requires_grad_(False)


def test_auto_asks_the_cpu() -> None:
    assert choose("auto", CPU) == ("bf16" if BF16 else "fp32")
    assert choose("fp32", CPU) == "fp32"


def test_a_cpu_without_the_instructions_computes_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert choose("auto", CPU) == "fp32"
    with pytest.raises(UserError, match="not made for int8"):
        choose("int8", CPU)


def test_older_torch_does_not_tell_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert choose("auto", CPU) == "fp32"


@needs_gpu
@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_a_gpu_says_what_a_cpu_says(name: str) -> None:
    gpu, spec = torch.device("cuda"), backbone(name)
    able = torch.cuda.get_device_capability() >= (7, 0)
    assert choose("auto", gpu) == ("fp16" if able else "fp32")
    exact = Embedder(spec, network(name), CPU).embed(CROPS)
    for precision in {"fp32", choose("auto", gpu)}:
        found = Embedder(spec, network(name).to(gpu), gpu, precision, threads=2).embed(CROPS)
        assert cosines(found, exact).min() >= 0.999


@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_gpus_numbers_do_not_hang_on_how_many_crops_there_are(precision: str) -> None:
    gpu, spec = torch.device("cuda"), backbone("resnet18")
    embedder = Embedder(spec, network("resnet18").to(gpu), gpu, precision)
    alone, among = embedder.embed(CROPS[:1]), embedder.embed(CROPS * 40)
    np.testing.assert_array_equal(alone[0], among[0])


@pytest.mark.parametrize(("precision", "says"), [("fp61", "fp16"), ("fp16", "auto")])
def test_what_a_device_is_not_made_for(precision: str, says: str) -> None:
    with pytest.raises(UserError, match=precision) as error:
        choose(precision, CPU)
    assert says in str(error.value)


@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_folded_networks_say_the_same(name: str) -> None:
    """With statistics as after a training; random ones fold into next to nothing."""
    own, spec = network(name), backbone(name)
    for module in own.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    before = {key: value.clone() for key, value in own.state_dict().items()}
    quick = quickened(spec, own, "fp32")
    kinds = [sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (own, quick)]
    assert kinds[1] < kinds[0]
    images = spec.preprocess(
        torch.from_numpy(stack(CROPS[:2], spec.size)).permute(0, 3, 1, 2).float()
    )
    with torch.inference_mode():
        torch.testing.assert_close(quick(images), own(images), rtol=1e-3, atol=1e-4)
    assert all(torch.equal(before[key], value) for key, value in own.state_dict().items())


class Factors(nn.Module):
    """Convolutions with constant factors, two of which must not be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(3, 3, 1, bias=b) for b in (True, False, True))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        both = self.two(pixels)
        twice = self.three(self.three(pixels) * 0.5)
        return self.one(pixels) * 0.17 + both * 3 + both + twice


def test_factors_are_folded_where_nothing_else_sees_them() -> None:
    own = Factors().eval().requires_grad_(False)
    quick = quickened(Backbone(3, 4, Factors, lambda batch: batch, None), own, "fp32")
    products = quick.graph.find_nodes(op="call_function", target=operator.mul)
    assert len(products) == 2
    pixels = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(quick(pixels), own(pixels))


@pytest.mark.parametrize("precision", ["bf16", pytest.param("int8", marks=needs_vnni)])
@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_embeddings_are_near_those_of_fp32(name: str, precision: str) -> None:
    spec, own = backbone(name), network(name)
    exact = Embedder(spec, own, CPU).embed(CROPS)
    found = Embedder(spec, own, CPU, precision).embed(CROPS)
    assert found.dtype == np.float32 and found.shape == exact.shape
    assert cosines(found, exact).min() >= 0.999


class Residuals(nn.Module):
    """Sums of which one part is the convolution's own input, or looked at again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = (nn.Conv2d(n, 8, 3, padding=1) for n in (3, 8, 8))
        self.relu = nn.ReLU()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        own = self.relu(self.stem(pixels))
        again = self.relu(self.one(own) + own)
        other = self.relu(self.two(again) + own)
        return torch.cat([again, other, own], 1).mean((2, 3))


@needs_vnni
def test_a_residual_that_is_looked_at_again_keeps_its_numbers_in_int8() -> None:
    torch.manual_seed(1)
    own = Residuals().eval().requires_grad_(False)
    spec = Backbone(24, 32, Residuals, lambda batch: batch / 255, None)
    exact, found = (Embedder(spec, own, CPU, kind).embed(CROPS) for kind in ("fp32", "int8"))
    assert cosines(found, exact).min() >= 0.999


@pytest.mark.parametrize("precision", ["fp32", pytest.param("int8", marks=needs_vnni)])
@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_an_embedding_hangs_on_its_crop_alone(name: str, precision: str) -> None:
    """Not on how many others are embedded with it, nor on another calibration."""
    spec, own, crops = backbone(name), network(name), CROPS * 4
    found = Embedder(spec, own, CPU, precision).embed(crops)
    for few in ([0], [8, 3], [*range(17)]):
        again = Embedder(spec, own, CPU, precision).embed([crops[i] for i in few])
        assert np.array_equal(found[few], again)


class Far(nn.Module):
    """A network that bf16 changes much: the small difference of large sums."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        colour = pixels.mean((2, 3))
        return (colour + 1000) - 1000 - colour.roll(1, 1)


def test_a_network_that_suffers_is_refused(tmp_path: Path) -> None:
    crops = [jpeg.encode(crop) for crop in CROPS]
    mask = np.ones(len(crops), bool)
    columns = {
        column: np.zeros((len(mask), *shape), kind)
        for column, (shape, kind, _) in PER_FRAME.items()
        if column != "crop"
    }
    with create(tmp_path / "faces.h5", FACES, {}) as file:
        rows = face_rows(file, len(mask))
        clip = {"clip_id": "a", "status": "ok", "detail": ""}
        rows.append(clip, columns | {"mask": mask, "crop": crops})
    spec = Backbone(3, 32, Far, lambda batch: batch / 255, None)
    embedder = Embedder(spec, Far().eval(), CPU, "bf16", said={"backbone": "far"})
    with pytest.raises(UserError, match="far: bf16 of 9 crops") as error:
        embed_shards([tmp_path / "faces.h5"], embedder, tmp_path / "e.h5")
    assert "precision: fp32" in str(error.value) and not (tmp_path / "e.h5").exists()

    calm = Backbone(3, 32, Mean, lambda batch: batch / 255, None)
    embedder = Embedder(calm, Mean().eval(), CPU, "bf16", said={"backbone": "calm"})
    embed_shards([tmp_path / "faces.h5"], embedder, tmp_path / "e.h5")
    with open_complete(tmp_path / "e.h5", EMBEDDINGS) as file:
        assert "bf16" in str(dict(file.attrs)) and "cosine_to_fp32" in str(dict(file.attrs))
        assert np.abs(file["embedding"][0]).sum() > 0


class Mean(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return functional.normalize(pixels.mean((2, 3)), dim=1)
