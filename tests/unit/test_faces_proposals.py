"""Against the network that it computes."""

import copy

import torch
from facenet_pytorch import MTCNN
from hypothesis import given, settings
from hypothesis import strategies as st

from affectflow.faces.proposals import Proposals

STOCK = MTCNN().eval().requires_grad_(False).pnet
OURS = Proposals(copy.deepcopy(STOCK), 127.5, 1 / 128)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), st.integers(12, 41), st.integers(12, 41), st.integers(0, 2**31))
def test_every_window_has_the_network_s_score_and_moves(
    images: int, rows: int, columns: int, seed: int
) -> None:
    """Also where an odd number of pixels leaves pooling a single one at the edge."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (images, 3, rows, columns), generator=generator).float()
    with torch.inference_mode():
        windows, scores, moves = OURS(pixels, 0.0)
        wanted_moves, probabilities = STOCK((pixels - 127.5) / 128)
    image, row, column = windows.T
    assert len(windows) == probabilities[:, 1].numel()
    torch.testing.assert_close(scores, probabilities[image, 1, row, column], atol=2e-5, rtol=0)
    torch.testing.assert_close(moves, wanted_moves[image, :, row, column], atol=2e-5, rtol=1e-5)


def test_only_windows_that_pass() -> None:
    pixels = torch.randint(0, 256, (1, 3, 60, 60)).float()
    with torch.inference_mode():
        _, scores, _ = OURS(pixels, 0.0)
        windows, passed, moves = OURS(pixels, 0.3)
    assert len(windows) == len(moves) == int((scores >= 0.3).sum())
    assert sorted(passed.tolist()) == sorted(scores[scores >= 0.3].tolist())
