"""FECNet, the dissertation's extractor 1: FaceNet cut short, a dense block, 128-d.

It is the teacher of Schoneveld et al. (2021), after Vemulapalli and Agarwala (2019); Abraham
(2022), section 3.2.1. Nobody publishes its weights. For a crop of 140 x 140:

=========  ==================================================  ============
part       is                                                  gives
=========  ==================================================  ============
(input)    RGB, standardised                                   3 x 140 x 140
`base`     Inception-ResNet-v1 to `conv2d_4b`, `repeat_1`      256 x 15 x 15
           on to `mixed_6a`, `repeat_2`                        896 x 7 x 7
           on to `mixed_7a`, its last reduction                1792 x 3 x 3
`reduce`   1x1 convolution                                     512 x 3 x 3
`dense`    five layers that add 64 maps each                   832 x 3 x 3
`embed`    1x1 convolution                                     128 x 3 x 3
(pooling)  mean over places                                    128
=========  ==================================================  ============

**The cut.** The dissertation takes FaceNet "up to the Inception 4e block", a name of the FaceNet
paper's NN2 (Schroff et al. 2015, Table 2): the last reduction, from 1/16 of the input's side to
1/32, giving 7 x 7 x 1024 for an input of 224. Inception-ResNet-v1 has no block of that name. The
one that does this there is `mixed_7a`, and there the dissertation's published code cuts, too. By
size alone the map after `repeat_2` would do as well, 7 x 7 x 896 at 140, but it lies before that
reduction; and the published numbers, with which ours are compared, came from the other.
"""

from __future__ import annotations

from collections import OrderedDict

from facenet_pytorch import InceptionResnetV1, fixed_image_standardization
from torch import Tensor, nn
from torchvision.models.densenet import _DenseBlock

from affectflow.backbones.spec import Backbone

LAST = "mixed_7a"
LAST_CHANNELS = 1792
REDUCED = 512
LAYERS, GROWTH, BOTTLENECK = 5, 64, 4
DIM = 128


class FECNet(nn.Module):
    """The network without the heads that it is trained with.

    Its `base` has the names of facenet-pytorch's weights, so that the file for VGGFace2 fits it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.base = facenet_base()
        self.reduce = nn.Conv2d(LAST_CHANNELS, REDUCED, kernel_size=1)
        # Each layer: BN-ReLU-1x1 convolution to 4 x 64 maps, BN-ReLU-3x3 convolution to 64.
        self.dense = _DenseBlock(LAYERS, REDUCED, BOTTLENECK, GROWTH, drop_rate=0)
        self.embed = nn.Conv2d(REDUCED + LAYERS * GROWTH, DIM, kernel_size=1)
        for part in (self.reduce, self.dense, self.embed):
            part.apply(_initialise)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed (B, 3, 140, 140) float32, standardised, as (B, 128) float32."""
        return self.embed(self.dense(self.reduce(self.base(pixels)))).mean(dim=(2, 3))


def facenet_base() -> nn.Sequential:
    """Return Inception-ResNet-v1 up to and with `mixed_7a`: (B, 3, H, W) -> (B, 1792, h, w)."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    # Its parts are applied in the order in which they are defined.
    for name, part in InceptionResnetV1(pretrained=None).named_children():
        parts[name] = part
        if name == LAST:
            break
    return nn.Sequential(parts)


def _initialise(part: nn.Module) -> None:
    if isinstance(part, nn.Conv2d):
        # As torchvision's DenseNet: what comes out varies as much as what went in.
        nn.init.kaiming_normal_(part.weight)
        if part.bias is not None:
            nn.init.zeros_(part.bias)


def build() -> nn.Module:
    """Return the network: (B, 3, 140, 140) -> (B, 128)."""
    return FECNet()


def preprocess(pixels: Tensor) -> Tensor:
    """Apply facenet's fixed standardisation, as its base was trained with: (x - 127.5) / 128."""
    return fixed_image_standardization(pixels)


BACKBONE = Backbone(
    dim=DIM,
    size=140,
    build=build,
    preprocess=preprocess,
    pretrained=None,
    # The two heads of its training: triplets of faces (32), expressions of AffectNet (8).
    ignored=("heads.",),
    last=("reduce.", "dense.", "embed."),
)
