"""Inception-ResNet-v1 on VGGFace2 (facenet-pytorch): 512-d, the dissertation's extractor 3."""

from __future__ import annotations

from facenet_pytorch import InceptionResnetV1, fixed_image_standardization
from torch import Tensor, nn

from affectflow.backbones.spec import Backbone, Pretrained

URL = (
    "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
    "20180402-114759-vggface2.pt"
)


def build() -> nn.Module:
    """Return the network: (B, 3, 160, 160) -> (B, 512), of length 1."""
    return InceptionResnetV1(pretrained=None, classify=False)


def preprocess(pixels: Tensor) -> Tensor:
    """Apply facenet's fixed standardisation: (x - 127.5) / 128."""
    return fixed_image_standardization(pixels)


BACKBONE = Backbone(
    dim=512,
    size=160,
    build=build,
    preprocess=preprocess,
    pretrained=Pretrained(
        URL,
        "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    ),
    ignored=("logits.",),
    last=("block8.", "last_linear.", "last_bn."),
)
