"""Against torch's PReLU and pooling."""

import copy

import torch
from facenet_pytorch import MTCNN
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from affectflow.faces.prelu import PreluPool, fuse


@settings(deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 40), st.integers(3, 13), st.integers(3, 13),
    st.sampled_from([2, 3]), st.integers(0, 2**31),
)  # fmt: skip
def test_the_same_numbers(
    images: int, channels: int, rows: int, columns: int, side: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    seen = torch.randn(images, channels, rows, columns, generator=generator)
    prelu, pool = nn.PReLU(channels), nn.MaxPool2d(side, 2, ceil_mode=True)
    with torch.no_grad():
        prelu.weight.normal_(generator=generator)
        torch.testing.assert_close(PreluPool(prelu, pool)(seen), pool(prelu(seen)), rtol=0, atol=0)


def test_networks_say_the_same() -> None:
    stock = MTCNN().eval().requires_grad_(False)
    for network, side in ((stock.rnet, 24), (stock.onet, 48)):
        faces = torch.randn(5, 3, side, side)
        ours = fuse(copy.deepcopy(network))
        assert not any(isinstance(module, nn.MaxPool2d) for module in ours.children())
        for found, wanted in zip(ours(faces), network(faces), strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
