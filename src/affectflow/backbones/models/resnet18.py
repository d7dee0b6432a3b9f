"""ResNet-18 up to its average pooling (He et al. 2016): 512-d, the dissertation's extractor 2."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from affectflow.backbones.spec import Backbone, Pretrained

URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
# ImageNet's mean and standard deviation per channel, as torchvision's weights expect them.
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def build() -> nn.Module:
    """Return the network: (B, 3, 224, 224) -> (B, 512)."""
    network = resnet18(weights=None)
    network.fc = nn.Identity()
    return network


def preprocess(pixels: Tensor) -> Tensor:
    """Scale 0..255 to ImageNet's mean 0 and deviation 1 per channel."""
    mean, deviation = (own.to(pixels.device, non_blocking=True) for own in (MEAN, STD))
    return (pixels / 255 - mean) / deviation


BACKBONE = Backbone(
    dim=512,
    size=224,
    build=build,
    preprocess=preprocess,
    pretrained=Pretrained(
        URL,
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    ignored=("fc.",),
    last=("layer4.",),
)
