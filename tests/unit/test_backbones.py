import inspect
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from safetensors.torch import load_file, save_file
from torchvision.models import ResNet18_Weights, resnet18

from affectflow import preflight, registry
from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import Embedder, open_embedder
from affectflow.backbones.weights import backbone, load, prepare
from affectflow.config.study import Study
from affectflow.errors import UserError
from affectflow.provenance.content import sha256
from affectflow.shards.embeddings import CONTENT as EMBEDDINGS
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.faces import PER_FRAME, face_rows
from affectflow.shards.files import create, open_complete, texts
from affectflow.video import jpeg

CPU = torch.device("cpu")
CROPS = [
    np.random.default_rng(i).integers(0, 255, (224, 224, 3), np.uint8, endpoint=True)
    for i in range(3)
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of every backbone, as `prepare` writes them."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for name in registry.names("backbones.models"):
        paths[name] = folder / f"{name}.safetensors"
        prepare(name, {"weights": "random"}, 1, paths[name])
    return paths


@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_backbone_embeds(name: str, weights: dict[str, Path]) -> None:
    spec = backbone(name)
    found = Embedder(spec, load(name, weights[name], CPU), CPU).embed(CROPS)
    assert found.shape == (3, spec.dim) and found.dtype == np.float32
    assert np.isfinite(found.astype(np.float16)).all()
    assert not np.allclose(found[0], found[1])


@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_no_crops(name: str, weights: dict[str, Path]) -> None:
    found = Embedder(backbone(name), load(name, weights[name], CPU), CPU).embed([])
    assert found.shape == (0, backbone(name).dim)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_a_shard_of_faces_is_embedded(name: str, weights: dict[str, Path], tmp_path: Path) -> None:
    mask = np.array([True, False, True])
    seen = zip(CROPS, mask, strict=True)
    crops = [jpeg.encode(crop) if face else None for crop, face in seen]
    frames = {
        column: np.zeros((len(mask), *shape), kind)
        for column, (shape, kind, _) in PER_FRAME.items()
        if column != "crop"
    }
    with create(tmp_path / "faces.h5", FACES, {}) as file:
        clip = {"clip_id": "a", "status": "ok", "detail": ""}
        face_rows(file, len(mask)).append(clip, frames | {"mask": mask, "crop": crops})
    embedder = open_embedder(name, weights[name], CPU, "fp32")
    embed_shards([tmp_path / "faces.h5"], embedder, tmp_path / "e.h5")
    with open_complete(tmp_path / "e.h5", EMBEDDINGS) as file:
        found = file["embedding"][0]
        assert texts(file["clip_id"]) == ["a"] and np.array_equal(file["mask"][0], mask)
        assert file["frames"][:].tolist() == [3]
    network = Embedder(backbone(name), load(name, weights[name], CPU), CPU)
    expected = network.embed([jpeg.decode(crops[i]) for i in (0, 2)])
    assert np.array_equal(found[mask], expected.astype(np.float16))
    assert not found[~mask].any()
    # Random weights, too, tell two crops apart in the precision that is kept.
    assert (found[0] != found[2]).mean() > 0.5


def test_random_weights_follow_the_seed(tmp_path: Path, weights: dict[str, Path]) -> None:
    for seed, same in ((1, True), (2, False)):
        path = tmp_path / f"{seed}.safetensors"
        prepare("resnet18", {"weights": "random"}, seed, path)
        a, b = load_file(path), load_file(weights["resnet18"])
        assert all(torch.equal(a[k], b[k]) for k in a) is same


def test_resnet18_is_torchvisions_up_to_its_pooling(tmp_path: Path) -> None:
    """A file saved by torchvision, classifier and all, gives torchvision's features."""
    torch.manual_seed(5)
    reference = resnet18(weights=None).eval()
    torch.save(reference.state_dict(), tmp_path / "resnet18.pth")
    settings = {"weights": str(tmp_path / "resnet18.pth")}
    prepare("resnet18", settings, 1, tmp_path / "w.safetensors")
    found = Embedder(backbone("resnet18"), load("resnet18", tmp_path / "w.safetensors", CPU), CPU)
    reference.fc = torch.nn.Identity()
    pixels = torch.from_numpy(np.stack(CROPS)).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        expected = reference((pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    assert np.allclose(found.embed(CROPS), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_inception_is_facenets(tmp_path: Path) -> None:
    torch.manual_seed(5)
    reference = InceptionResnetV1(pretrained=None).eval()
    state = reference.state_dict() | {"logits.weight": torch.zeros(8631, 512)}
    torch.save(state, tmp_path / "vggface2.pt")
    name, target = "inception_resnet_v1", tmp_path / "w.safetensors"
    prepare(name, {"weights": str(tmp_path / "vggface2.pt")}, 1, target)
    crops = [crop[:160, :160] for crop in CROPS]
    found = Embedder(backbone(name), load(name, target, CPU), CPU).embed(crops)
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        expected = reference((pixels - 127.5) / 128)
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


SHAPES = {
    "base.conv2d_4b": (256, 15, 15),
    "base.repeat_1": (256, 15, 15),
    "base.mixed_6a": (896, 7, 7),
    "base.repeat_2": (896, 7, 7),
    "base.mixed_7a": (1792, 3, 3),
    "base": (1792, 3, 3),
    "reduce": (512, 3, 3),
    **{f"dense.denselayer{layer}.conv1": (256, 3, 3) for layer in range(1, 6)},
    **{f"dense.denselayer{layer}": (64, 3, 3) for layer in range(1, 6)},
    "dense": (832, 3, 3),
    "embed": (128, 3, 3),
    "": (128,),
}
# Weights of a 1x1 convolution and its bias; per dense layer two normalisations and two
# convolutions, the first of 512 + 64 i maps.
SIZES = {
    "base": 12_959_488,
    "reduce": 1792 * 512 + 512,
    "dense": sum(2 * n + n * 256 + 2 * 256 + 9 * 256 * 64 for n in range(512, 832, 64)),
    "embed": 832 * 128 + 128,
}


@pytest.mark.slow
def test_fecnet_has_the_documented_shapes_and_sizes() -> None:
    network = backbone("fecnet").build().eval()
    found: dict[str, tuple[int, ...]] = {}
    for name in SHAPES:
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: found.update({name: tuple(out.shape)})
        )
    with torch.inference_mode():
        network(torch.zeros(2, 3, 140, 140))
    assert found == {name: (2, *shape) for name, shape in SHAPES.items()}
    sizes = {name: sum(w.numel() for w in p.parameters()) for name, p in network.named_children()}
    assert sizes == SIZES
    assert sum(sizes.values()) == 15_549_568


@pytest.mark.slow
def test_fecnets_base_is_facenets_up_to_mixed_7a() -> None:
    """The published weights of the whole network fit its beginning, and give the same map."""
    torch.manual_seed(5)
    reference = InceptionResnetV1(pretrained=None).eval()
    base = backbone("fecnet").build().eval().base
    missing, unused = base.load_state_dict(reference.state_dict(), strict=False)
    assert not missing
    assert {key.split(".")[0] for key in unused} == {"repeat_3", "block8", "last_linear", "last_bn"}
    maps: list[torch.Tensor] = []
    reference.mixed_7a.register_forward_hook(lambda _, __, out: maps.append(out))
    pixels = torch.from_numpy(np.stack(CROPS)).permute(0, 3, 1, 2)[..., :140, :140].float()
    pixels = backbone("fecnet").preprocess(pixels)
    with torch.inference_mode():
        reference(pixels)
        assert torch.equal(base(pixels), maps[0])
    assert pixels.min() == -127.5 / 128 and pixels.max() == 127.5 / 128


@pytest.mark.slow
def test_fecnet_from_a_checkpoint_of_its_training(tmp_path: Path) -> None:
    """The heads that it is trained with are left out; what is embedded is the mean over places."""
    torch.manual_seed(5)
    reference = backbone("fecnet").build().eval()
    heads = {"heads.fec.weight": torch.zeros(32, 128), "heads.affectnet.bias": torch.zeros(8)}
    checkpoint = {"state_dict": {f"module.{k}": v for k, v in reference.state_dict().items()}}
    checkpoint["state_dict"] |= {f"module.{k}": v for k, v in heads.items()}
    torch.save(checkpoint, tmp_path / "teacher.pt")
    target = tmp_path / "w.safetensors"
    prepare("fecnet", {"weights": str(tmp_path / "teacher.pt")}, 1, target)
    crops = [crop[:140, :140] for crop in CROPS]
    found = Embedder(backbone("fecnet"), load("fecnet", target, CPU), CPU).embed(crops)
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        maps = reference.dense(reference.reduce(reference.base((pixels - 127.5) / 128)))
        expected = reference.embed(maps).flatten(2).mean(2)
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_nobody_publishes_fecnets_weights(tmp_path: Path) -> None:
    said = r"backbones\.fecnet\.weights: no published weights are known"
    with pytest.raises(UserError, match=said) as error:
        prepare("fecnet", {"weights": "pretrained"}, 1, tmp_path / "w.safetensors")
    assert error.value.remedy == "Give a path."
    assert not list(tmp_path.iterdir())
    # When a run is planned already.
    study = Study({"backbones": {"fecnet": {"weights": "pretrained"}}}, {})
    with pytest.raises(UserError, match=said):
        preflight.check(study)


class Malicious:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def broken(folder: Path, kind: str) -> Path:
    good = resnet18(weights=None).state_dict()
    path = folder / "weights.pt"
    if kind == "another architecture":
        torch.save(InceptionResnetV1(pretrained=None).state_dict(), path)
    elif kind == "another shape":
        torch.save(good | {"conv1.weight": torch.zeros(1)}, path)
    elif kind == "truncated":
        torch.save(good, path)
        path.write_bytes(path.read_bytes()[:100_000])
    elif kind == "truncated safetensors":
        path = folder / "weights.safetensors"
        save_file({k: v.contiguous() for k, v in good.items()}, path)
        path.write_bytes(path.read_bytes()[:100_000])
    elif kind == "numbered":
        torch.save({1: torch.zeros(1)}, path)
    elif kind == "truncated legacy":
        torch.save(good, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "text":
        path.write_text("<html>404</html>")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "no state dict":
        torch.save([1, 2], path)
    elif kind == "pickled object":
        path.write_bytes(pickle.dumps(Malicious(folder / "pwned")))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("another architecture", "is not resnet18"),
        ("another shape", r"is not resnet18: .*1 of another shape \(such as conv1.weight\)"),
        ("truncated", "is cut short"),
        ("truncated safetensors", "is cut short"),
        ("truncated legacy", "weights.pt"),
        ("numbered", "holds no state dict"),
        ("text", "weights.pt"),
        ("empty", "is cut short"),
        ("no state dict", "holds no state dict"),
        ("pickled object", "holds Python objects"),
        ("missing", "no such file"),
    ],
)
def test_bad_weights_are_named(tmp_path: Path, kind: str, message: str) -> None:
    path = broken(tmp_path, kind)
    target = tmp_path / "out" / "w.safetensors"
    with pytest.raises(UserError, match=message) as error:
        prepare("resnet18", {"weights": str(path)}, 1, target)
    assert error.value.remedy and path.name in error.value.message
    assert not target.exists() and not (tmp_path / "pwned").exists()


def test_sha256_is_checked(tmp_path: Path, weights: dict[str, Path]) -> None:
    path, target = weights["resnet18"], tmp_path / "w.safetensors"
    with pytest.raises(UserError, match="its sha256 is"):
        prepare("resnet18", {"weights": str(path), "sha256": "0" * 64}, 1, target)
    assert not target.exists()
    prepare("resnet18", {"weights": str(path), "sha256": sha256(path).upper()}, 1, target)
    assert target.exists()


def test_no_network_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(UserError, match="can't be fetched from this machine") as error:
        prepare("resnet18", {"weights": "pretrained"}, 1, tmp_path / "w.safetensors")
    assert "set backbones.resnet18.weights to its path" in error.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_published_addresses_are_the_libraries_own() -> None:
    assert registry.literal("backbones.models", "resnet18", "URL") == (
        ResNet18_Weights.IMAGENET1K_V1.url
    )
    # facenet-pytorch keeps its address within a function.
    source = inspect.getsource(sys.modules["facenet_pytorch.models.inception_resnet_v1"])
    assert registry.literal("backbones.models", "inception_resnet_v1", "URL") in source


@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_the_published_address_is_a_literal_where_there_is_one(name: str) -> None:
    pretrained = registry.load("backbones.models", name).BACKBONE.pretrained
    if pretrained is not None:
        assert registry.literal("backbones.models", name, "URL") == pretrained.url
