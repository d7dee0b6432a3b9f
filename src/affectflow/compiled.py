"""Loops over numbers, compiled for the processor they run on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compile a function at its first call, and keep that beside it or in the user's cache.

    Where neither can be written, each process compiles it anew, which takes a second or two.
    Other threads run meanwhile. Whole numbers wrap around, as NumPy's do.
    """
    try:
        made = njit(loop, cache=True, nogil=True)
    except RuntimeError:
        made = njit(loop, nogil=True)
    return cast(Loop, made)
