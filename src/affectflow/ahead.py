"""Work that is begun before its result is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, most: int
) -> Iterator[Result]:
    """Yield `work` of each item in order, computed in threads while the caller uses earlier ones.

    Parameters
    ----------
    work : callable
        It pays where it lets other threads run: OpenCV's decoding does, Python's own code doesn't.
    items : iterable
        Read by the caller's thread, at most `most` of them further than it has come.
    threads : int
        0: everything is computed when it is asked for.
    most : int
        Results that may wait, at least 1.
    """
    if not threads:
        yield from map(work, items)
        return
    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Result]] = deque(pool.submit(work, item) for item in islice(rest, most))
        try:
            while begun:
                result = begun.popleft().result()
                begun.extend(pool.submit(work, item) for item in islice(rest, 1))
                yield result
        finally:
            for future in begun:
                future.cancel()
