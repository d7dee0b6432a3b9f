"""bench/gpu/run.py runs from end to end, here on a CPU against itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from study import CHECKOUT

from affectflow.demo.corpus import film, write_video
from affectflow.demo.plan import plan_corpus

FOLDER = CHECKOUT / "bench" / "gpu"
SECTIONS = (
    *("machine", "clips", "faces", "embeddings", "steps", "pixels", "whole", "detect", "embed"),
    *("decode", "train", "learnt"),
)
pytestmark = pytest.mark.slow


def run(out: Path, *arguments: str, device: str = "cpu") -> tuple[int, str]:
    command = [sys.executable, str(FOLDER / "run.py"), "--device", device, "--out", str(out)]
    # No GPU is found, also where there is one.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    return done.returncode, done.stdout + done.stderr


def read(out: Path) -> dict[str, Any]:
    return json.loads((out / "gpu.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("gpu")
    code, told = run(out, "--small")
    assert code == 0, told
    return out, told


def test_a_cpu_is_what_a_cpu_is(finished: tuple[Path, str]) -> None:
    sections = read(finished[0])["sections"]
    assert list(sections) == [*SECTIONS]
    assert {name for name in sections if sections[name]["state"] != "done"} == set()
    for name in ("faces", "embeddings", "steps", "pixels", "learnt"):
        rows = sections[name]["rows"]
        assert rows and all(row["ok"] for row in rows), rows
    assert all(row["coverage"] > 0.9 for row in sections["faces"]["rows"])
    for row in sections["steps"]["rows"]:
        if row.get("precision") != "bf16":
            assert row["loss_off"] == row["gradient_off"] == 0 and row["loss"] > 0
    trained = [row["trained"] for row in sections["steps"]["rows"]]
    assert trained[:2] == ["lstm", "tcn"] and "teacher" in trained


def test_each_stage_has_a_rate(finished: tuple[Path, str]) -> None:
    sections = read(finished[0])["sections"]
    for name in ("whole", "detect", "embed", "decode", "train"):
        assert sections[name]["rows"]
        for row in sections[name]["rows"]:
            assert max(row.get("frames_per_s", 0), row.get("faces_per_s", 0)) > 0
            assert row["cores_busy"] >= 0 and "error" not in row
    one, several = sections["whole"]["rows"]
    assert one["frames"] == several["frames"] == 12
    assert 0 < one["detect_device_busy"] <= 1.01 and 0 < one["embed_device_busy"] <= 1.01


def test_the_table_is_printed_and_kept(finished: tuple[Path, str]) -> None:
    out, told = finished
    text = (out / "gpu.md").read_text()
    assert text in told
    assert "| faces: every auto, min_size 60 |" in text and "| **no** |" not in text
    assert re.search(r"^\| whole \| threads \d+, processes 1 \| ", text, re.M)
    assert re.search(r"^Hours for DAiSEE \(9,068 clips of 300 frames\): [\d.]+ \(", text, re.M)


def test_all_that_it_imports_is_carried_or_there(finished: tuple[Path, str]) -> None:
    """A machine with torch and little else has the rest from `collect.py`."""
    sys.path.insert(0, str(FOLDER))
    try:
        from collect import PACKAGES, THERE
    finally:
        sys.path.remove(str(FOLDER))
    there, new = set(), set(THERE)
    while new:
        there |= new
        needed = (Requirement(line) for name in new for line in requires(name) or [])
        names = {canonicalize_name(one.name) for one in needed if not one.marker or _here(one)}
        new = names - there
    # What other installations of joblib and torch load where it is there.
    optional = {"psutil", "cloudpickle", "setuptools"}
    used = {canonicalize_name(name) for name in read(finished[0])["packages"]}
    assert used - there - set(PACKAGES) - optional == {"affectflow"}
    assert set(PACKAGES) <= used


def _here(requirement: Requirement) -> bool:
    assert requirement.marker
    return requirement.marker.evaluate({"extra": ""})


def test_what_is_done_is_not_done_again(finished: tuple[Path, str]) -> None:
    out, _ = finished
    before = (out / "gpu.json").read_bytes()
    code, again = run(out, "--small")
    assert code == 0
    assert [line for line in again.splitlines() if line.endswith("done before")] == [
        f"{name}: done before" for name in SECTIONS
    ]
    assert (out / "gpu.json").read_bytes() == before


def test_a_run_of_something_else_is_not_continued(finished: tuple[Path, str]) -> None:
    before = (finished[0] / "gpu.json").read_bytes()
    code, told = run(finished[0])
    assert code == 1 and "Give another --out, or --again to begin anew." in told
    assert (finished[0] / "gpu.json").read_bytes() == before


def test_a_section_that_fails_is_noted_and_the_next_one_runs(tmp_path: Path) -> None:
    out, clips = tmp_path / "out", tmp_path / "clips"
    some = "--small", "--clips", str(clips), "clips", "machine"
    code, told = run(out, *some)
    sections = read(out)["sections"]
    assert code == 1
    assert sections["clips"]["state"] == "failed" and sections["machine"]["state"] == "done"
    assert "Traceback" in sections["clips"]["error"]
    assert f"{clips}: No such file or directory" in sections["clips"]["error"]
    assert "- **clips**: failed: " in told
    # Given again when the folder is there, it goes on from where it failed.
    clips.mkdir()
    write_video(clips / "one.avi", film(plan_corpus(1)[0], frames=12))
    code, told = run(out, *some)
    assert code == 0, told
    assert "machine: done before" in told
    assert read(out)["sections"]["clips"]["rows"][0]["clips"] == 1


def test_where_no_time_is_left_nothing_begins(tmp_path: Path) -> None:
    code, told = run(tmp_path, "--small", "--minutes", "0")
    assert code == 0 and read(tmp_path)["sections"] == {}
    assert told.count("no time is left") == len(SECTIONS)


def test_without_a_gpu_each_section_says_so(tmp_path: Path) -> None:
    code, _ = run(tmp_path, "machine", device="cuda")
    assert code == 1
    assert "cuda is asked for" in read(tmp_path)["sections"]["machine"]["error"]


BAD = """
import os, time

def dies(material):
    yield {"row": 1}
    os._exit(3)

def hangs(material):
    yield {"row": 1}
    time.sleep(600)

def lasts(material):
    for row in range(600):
        yield {"row": row}
        time.sleep(0.2)

def works(material):
    yield {"threads": material.threads}
"""

DRIVE = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import worker

if __name__ == "__main__":
    worker.GRACE = 3.0
    how = {"device": "cpu", "small": True, "clips": None, "cores": 1, "folder": sys.argv[2]}
    own = worker.Worker(how)
    for name in ("works", "dies", "lasts", "hangs", "works"):
        print(json.dumps([name, [said for said in own.run("bad:" + name, 0.5)]]))
    own.stop()
"""


def test_a_process_that_dies_or_hangs_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(BAD)
    script = tmp_path / "drive.py"
    script.write_text(DRIVE)
    command = [sys.executable, str(script), str(FOLDER), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, _ in said] == ["works", "dies", "lasts", "hangs", "works"]
    works, dies, lasts, hangs, again = (rows for _, rows in said)
    assert works[0] == again[0] == ["row", {"threads": [1]}] and again[-1][0] == "done"
    assert dies[0] == ["row", {"row": 1}] and "ended by itself, with code 3" in dies[-1][1]
    assert lasts[-1][0] == "cut short" and len(lasts) < 30
    assert hangs[-1][0] == "cut short" and "no answer in time" in hangs[-1][1]
