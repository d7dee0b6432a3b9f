"""How long a device had work."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from needs import needs_gpu

from affectflow import busy
from affectflow.busy import Busy

CPU = torch.device("cpu")
SPANS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=20)


class Gpu:
    """A GPU that works off what it is given when it is waited for; makes torch's events."""

    def __init__(self) -> None:
        self.now, self.given = 0, list[tuple[object, int]]()

    def catch_up(self) -> None:
        for event, milliseconds in self.given:
            self.now += milliseconds
            if isinstance(event, Event):
                event.at = self.now
        self.given.clear()


class Event:
    """One of torch's."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.at = gpu, None

    def record(self) -> None:
        self.gpu.given.append((self, 0))

    def query(self) -> bool:
        return self.at is not None

    def synchronize(self) -> None:
        self.gpu.catch_up()

    def elapsed_time(self, end: Event) -> float:
        assert self.at is not None and end.at is not None
        return end.at - self.at


@given(SPANS)
def test_idle_time_does_not_count(spans: list[tuple[int, int]]) -> None:
    clock = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(busy.time, "monotonic", lambda: clock)
        device = Busy(CPU)
        for idle, work in spans:
            clock += idle
            with device:
                clock += work
    assert device.seconds == sum(work for _, work in spans)


@given(SPANS, st.sets(st.integers(0, 19)))
def test_a_gpus_time_is_its_own(spans: list[tuple[int, int]], waited_for: set[int]) -> None:
    gpu = Gpu()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(busy, "_clock", lambda: Event(gpu))
        device = Busy(torch.device("cuda"))
        for place, (idle, work) in enumerate(spans):
            gpu.given.append(("idle", idle))
            with device:
                gpu.given.append(("work", work))
            if place in waited_for:
                gpu.catch_up()
        assert device.seconds == pytest.approx(sum(work for _, work in spans) / 1000)


def test_threads_take_turns_also_after_a_failure() -> None:
    device, inside, most = Busy(CPU), 0, 0

    def work(item: int) -> None:
        nonlocal inside, most
        with device:
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1
            if item % 3 == 0:
                raise ValueError(item)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(work, item) for item in range(12)]
    assert sum(one.exception() is not None for one in done) == 4
    assert most == 1


class Lost(Event):
    """One of a GPU that fails: at the first or second thing that is asked of it."""

    asked, at_most = 0, 0

    def record(self) -> None:
        Lost.asked += 1
        if Lost.asked > Lost.at_most:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        super().record()


@pytest.mark.parametrize("at_most", [0, 1])
def test_a_gpu_that_fails_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, at_most: int
) -> None:
    monkeypatch.setattr(busy, "_clock", lambda: Lost(Gpu()))
    monkeypatch.setattr(Lost, "asked", 0)
    monkeypatch.setattr(Lost, "at_most", at_most)
    device = Busy(torch.device("cuda"))

    said = []

    def work() -> None:
        try:
            with device:
                pass
        except RuntimeError as error:
            said.append(str(error))

    threads = [Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(said) == 4 and all("illegal memory access" in text for text in said)
    assert device.seconds == 0


@needs_gpu
def test_a_gpu_works_after_it_was_given_work() -> None:
    device, gpu = Busy(torch.device("cuda")), torch.device("cuda")
    matrix = torch.rand(4096, 4096, device=gpu)
    torch.cuda.synchronize()
    began = time.monotonic()
    for _ in range(20):
        with device:
            matrix = matrix @ matrix / 4096
    torch.cuda.synchronize()
    waited = time.monotonic() - began
    time.sleep(0.2)
    assert 0.5 * waited < device.seconds <= waited + 0.01
