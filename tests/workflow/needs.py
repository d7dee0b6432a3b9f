"""What a test needs of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest
import torch

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and torch finds none here"
)


def lacking(reason: str) -> NoReturn:
    """Skip a test that this machine can't run; fail it where the machine was made for it.

    REQUIRE_CLUSTER says that it was: `.ci/run` installs all that the tests need, as root.
    """
    if os.environ.get("REQUIRE_CLUSTER"):
        pytest.fail(reason)
    pytest.skip(reason)


NOBODY = 65534


@contextmanager
def without_rights() -> Iterator[None]:
    """Be a user whom permissions bind: root may read every file, and CI runs as root."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
