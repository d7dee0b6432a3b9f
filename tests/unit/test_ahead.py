"""Work that is begun before its result is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from affectflow.ahead import ahead


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_order_is_kept(threads: int) -> None:
    assert list(ahead(lambda x: x * x, range(50), threads, 4)) == [x * x for x in range(50)]
    assert list(ahead(lambda x: x, [], threads, 4)) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_items_are_read_a_little_ahead(threads: int) -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            read.append(item)
            yield item

    results = ahead(lambda x: x, items(), threads, 4)
    assert next(results) == 0 and len(read) == 5
    assert next(results) == 1 and len(read) == 6
    results.close()


def test_it_works_while_the_caller_does() -> None:
    second_began = threading.Event()

    def work(item: int) -> int:
        if item:
            second_began.set()
        return item

    results = ahead(work, range(2), 1, 2)
    next(results)
    assert second_began.wait(10)


@pytest.mark.parametrize("threads", [0, 2])
def test_an_exception_comes_at_its_place(threads: int) -> None:
    results = ahead(lambda x: 1 // x, [1, 2, 0, 3], threads, 2)
    assert [next(results), next(results)] == [1, 0]
    with pytest.raises(ZeroDivisionError):
        next(results)
