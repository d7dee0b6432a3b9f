"""Loops over numbers, compiled for the processor they run on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compile a function at its first call; other threads run while it does.

    Nothing is kept on disk: a job compiles for two seconds, and processors of several kinds, jobs
    that start together, and a quota would share a cache.
    """
    return cast(Loop, njit(loop, nogil=True))
