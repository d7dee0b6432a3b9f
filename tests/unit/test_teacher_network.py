"""The teacher's network: shapes, sizes, modes, and the weights that it starts from and gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from teacher_faces import SIZE, TINY, Tiny

from affectflow.backbones.models import fecnet, inception_resnet_v1
from affectflow.backbones.weights import prepare
from affectflow.errors import UserError
from affectflow.teacher.network import EXPRESSION, Teacher, load_base

HEADS = {
    "heads.fec.weight": (32, 128),
    "heads.fec.bias": (32,),
    "heads.affectnet.weight": (8, 128),
    "heads.affectnet.bias": (8,),
}


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    torch.manual_seed(0)
    return Teacher(fecnet.BACKBONE)


def test_heads_are_two_linear_layers_on_128_numbers(teacher):
    own = dict(teacher.backbone.named_parameters())
    heads = {k: tuple(v.shape) for k, v in teacher.weights().items() if k.startswith("heads.")}
    assert heads == HEADS
    assert len(EXPRESSION.levels) == 8
    count = sum(each.numel() for each in teacher.parameters())
    assert count == sum(each.numel() for each in own.values()) + 128 * 40 + 40 == 15_554_728


def test_joint_batch_of_the_real_network(teacher):
    spec = fecnet.BACKBONE
    images = torch.randint(0, 256, (7, spec.size, spec.size, 3), dtype=torch.uint8)
    with torch.no_grad():
        embeddings, logits = teacher.eval()(images, 2)
        one = teacher.compare(teacher.embed(images[3:4]))
    assert embeddings.shape == (2, 3, 32)
    assert logits.shape == (1, 8)
    assert embeddings.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=2), torch.ones(2, 3))
    # The fourth image is the second triplet's first face.
    torch.testing.assert_close(embeddings[1, 0], one[0], rtol=1e-3, atol=1e-4)


def test_weights_are_read_by_the_backbone(teacher, tmp_path):
    save_file(teacher.weights(), tmp_path / "teacher.safetensors")
    settings = {"weights": str(tmp_path / "teacher.safetensors")}
    prepare("fecnet", settings, 0, tmp_path / "prepared.safetensors")
    prepared = load_file(tmp_path / "prepared.safetensors")
    assert not [name for name in prepared if name.startswith("heads.")]
    for name, tensor in teacher.backbone.state_dict().items():
        assert torch.equal(prepared[name], tensor)


def test_base_takes_the_weights_of_facenet(teacher, tmp_path):
    facenet = inception_resnet_v1.build()
    save_file(facenet.state_dict(), tmp_path / "facenet.safetensors")
    network = fecnet.build()
    dense = network.dense.state_dict()["denselayer1.conv1.weight"].clone()
    load_base(network, tmp_path / "facenet.safetensors")
    given = facenet.state_dict()
    assert all(torch.equal(given[name], own) for name, own in network.base.state_dict().items())
    assert torch.equal(network.dense.state_dict()["denselayer1.conv1.weight"], dense)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"not safetensors", "damaged or not safetensors"),
        ({"conv.weight": torch.zeros(1)}, "missing or of another shape"),
        (
            {name: v[..., :1].clone() for name, v in Tiny().base.state_dict().items() if v.dim()},
            "missing or of another shape",
        ),
    ],
)
def test_weights_that_do_not_fit_the_base_are_told(tmp_path, content, words):
    path = tmp_path / "base.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        save_file(content, path)
    with pytest.raises(UserError, match=words) as error:
        load_base(Tiny(), path)
    assert "inception_resnet_v1" in error.value.remedy


@pytest.mark.parametrize("kept", [True, False])
def test_base_keeps_its_statistics_or_not(kept):
    teacher = Teacher(TINY, base_norm_kept=kept).train()
    before = teacher.backbone.base[1].running_mean.clone()
    outer = teacher.backbone.norm.running_mean.clone()
    teacher(torch.randint(0, 256, (8, SIZE, SIZE, 3), dtype=torch.uint8), 2)
    assert torch.equal(teacher.backbone.base[1].running_mean, before) == kept
    assert not torch.equal(teacher.backbone.norm.running_mean, outer)
    assert not teacher.eval().backbone.norm.training


def test_frozen_base_gets_no_gradient_and_the_rest_does():
    teacher = Teacher(TINY, base_trained=False).train()
    embeddings, logits = teacher(torch.randint(0, 256, (8, SIZE, SIZE, 3), dtype=torch.uint8), 2)
    (embeddings.sum() + logits.sum()).backward()
    for name, parameter in teacher.named_parameters():
        assert (parameter.grad is None) == name.startswith("backbone.base."), name


def test_a_backbone_without_a_base_can_not_be_a_teacher():
    with pytest.raises(AttributeError, match="base"):
        Teacher(replace(TINY, build=lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 10, 1))))


def test_heads_compute_in_full_precision_within_autocast():
    teacher = Teacher(TINY)
    images = torch.randint(0, 256, (7, SIZE, SIZE, 3), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        embedding = teacher.embed(images)
        embeddings, logits = teacher(images, 2)
        assert embedding.dtype == torch.bfloat16
    assert embeddings.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=2), torch.ones(2, 3), rtol=1e-6, atol=1e-6)
    (embeddings.sum() + logits.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in teacher.parameters())
