"""Why SLURM takes no jobs is passed on while it is so, not when it is over."""

from __future__ import annotations

import time
from pathlib import Path

from affectflow.cluster.waiting import pass_on


def wait_for(warned: list[str], count: int) -> list[str]:
    until = time.monotonic() + 10
    while len(warned) < count and time.monotonic() < until:
        time.sleep(0.01)
    return warned


def test_each_line_is_passed_on_once_it_is_whole(tmp_path: Path) -> None:
    notes, warned = tmp_path / "waiting", list[str]()
    notes.write_text("of an earlier run\n")
    pass_on(notes, warned.append, every=0.01)
    assert not notes.exists()
    with notes.open("a") as file:
        file.write("SLURM takes no jobs now (é)\nSLURM ta")
        file.flush()
        assert wait_for(warned, 1) == ["SLURM takes no jobs now (é)"]
        time.sleep(0.05)
        assert len(warned) == 1
        file.write("kes jobs again\n\nmore\n")
    assert wait_for(warned, 4)[1:] == ["SLURM takes jobs again", "", "more"]
