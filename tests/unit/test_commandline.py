"""What scripts set for their process."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from affectflow.commandline import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def work():
    for _ in range(20):
        np.ones(40 * 2**20, np.uint8)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="shows a setting of glibc, which only Linux has"
)
def test_freed_memory_waits_for_the_next_batch() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("kept") < 100 < faults("given back")


FAILS = """
from argparse import ArgumentParser
import torch
from affectflow.commandline import run
def main(arguments):
    raise {error}
run(ArgumentParser(), main)
"""


def test_a_full_gpu_is_told_without_a_traceback() -> None:
    def said(error: str) -> str:
        command = [sys.executable, "-c", FAILS.format(error=error)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 1
        return done.stderr

    text = "CUDA out of memory. Tried to allocate 2.00 GiB."
    for kind in ("OutOfMemoryError", "AcceleratorError"):
        full = said(f"torch.{kind}({text!r} + chr(10) + 'Process 7')")
        assert full.startswith(f"error: a GPU's memory is full: {text}\n")
        assert "Traceback" not in full and "Process 7" not in full
    assert "Traceback" in said(f"RuntimeError({text!r})")
    assert "Traceback" in said("torch.AcceleratorError('CUDA error: an illegal memory access')")
    # torch 2.5 has no such error: what went wrong is told, not that.
    older = said("[delattr(torch, 'AcceleratorError'), RuntimeError('what went wrong')][1]")
    assert older.rstrip().endswith("RuntimeError: what went wrong") and "attribute" not in older
