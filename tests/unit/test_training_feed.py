"""Where a feed keeps embeddings, and that its batches are the same wherever that is."""

from __future__ import annotations

import pytest
import torch
from needs import needs_gpu
from training_sequences import sequences

from affectflow.training import feed as module
from affectflow.training.feed import Feed

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("size", "fits"), [(499, True), (500, True), (501, False)])
def test_half_of_the_free_memory_is_taken(
    size: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 8000))
    assert module._fits(size, CUDA) is fits
    assert module._fits(size, CPU), "it is there already"


def batches(device: torch.device, fits: bool, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    monkeypatch.setattr(module, "_fits", lambda size, device: fits)
    feed = Feed(sequences(), device)
    assert (feed.resident is not None) is fits
    given = feed(torch.tensor([3, 0, 2]))
    assert all(tensor.device.type == device.type for tensor in given)
    return [tensor.cpu().numpy().tobytes() for tensor in given]


@pytest.mark.parametrize("name", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_batches_are_the_same_either_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device(name)
    resident, read = (batches(device, fits, monkeypatch) for fits in (True, False))
    assert resident == read == batches(CPU, True, monkeypatch)
