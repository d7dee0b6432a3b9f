"""The parts of bench/gpu that compute nothing: its file, its table, and what is carried along."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Path(__file__).parents[2] / "bench" / "gpu"
SIZES = st.lists(st.integers(1, 100), max_size=30)


@pytest.fixture(autouse=True, scope="module")
def on_path() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield


@given(SIZES)
def test_parts_are_small_enough_and_lose_nothing(sizes: list[int]) -> None:
    from collect import parts

    named = {f"{place}.whl": size for place, size in enumerate(sizes)}
    found = parts(named, 100)
    assert sorted(name for part in found for name in part) == sorted(named)
    assert all(0 < sum(named[name] for name in part) <= 100 for part in found)
    # First fit leaves no two parts that would be one.
    assert len(found) <= math.ceil(2 * sum(sizes) / 100) + 1


def test_a_wheel_that_fits_no_part_is_told() -> None:
    from collect import parts

    with pytest.raises(SystemExit, match=r"large.whl has 0.0 MiB, more than a part may have"):
        parts({"large.whl": 101, "small.whl": 1}, 100)


def test_the_lock_has_each_package_for_the_other_machines_python() -> None:
    from collect import PACKAGES, locked

    lines = [*locked(PACKAGES, "3.12")]
    entries = [line for line in lines if "==" in line]
    assert sorted(entry.partition("==")[0].lower() for entry in entries) == sorted(PACKAGES)
    assert not any(";" in line for line in lines)
    assert all("--hash=sha256:" in line for line in lines if "==" not in line)
    (video,) = (entry for entry in entries if entry.startswith("av=="))
    (older,) = (entry for entry in locked(("av",), "3.11") if "==" in entry)
    assert video != older  # two versions are locked, by Python's
    with pytest.raises(SystemExit, match=r"no such-package for Python 3.12"):
        [*locked(("such-package",), "3.12")]


def test_parts_may_be_unpacked_one_after_the_other(tmp_path: Path) -> None:
    from bootstrap import unpack

    target = tmp_path / "packages"
    for part in ("one", "two"):
        wheels = tmp_path / part
        wheels.mkdir()
        with zipfile.ZipFile(wheels / f"{part}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{part}/__init__.py", "VALUE = 1\n")
        assert unpack(wheels, target) == [f"{part}-1.0-py3-none-any.whl"]
        assert unpack(wheels, target) == []
    assert (target / "one" / "__init__.py").is_file() and (target / "two").is_dir()
    cut = tmp_path / "cut" / "three-1.0-py3-none-any.whl"
    cut.parent.mkdir()
    cut.write_bytes((tmp_path / "one" / "one-1.0-py3-none-any.whl").read_bytes()[:60])
    with pytest.raises(zipfile.BadZipFile):
        unpack(cut.parent, target)


def test_rows_are_in_the_file_at_once(tmp_path: Path) -> None:
    from ledger import Ledger, OthersError

    path, asked = tmp_path / "new" / "gpu.json", {"device": "cpu"}
    ledger = Ledger(path, asked, again=False)
    ledger.begin("faces")
    ledger.add("faces", {"a": np.float32(1 / 3), "b": np.int64(2), "c": math.nan, "d": (True, "e")})
    there = json.loads(path.read_text())["sections"]["faces"]
    row = {"a": 0.333333, "b": 2, "c": None, "d": [True, "e"]}
    assert there == {"state": "begun", "rows": [row]}
    ledger.end("faces", "failed", 1.0, {"numpy": "2"}, "Traceback ...\nValueError: x")
    assert Ledger(path, asked, again=False).state("faces") == "failed"
    again = Ledger(path, asked, again=False)
    again.begin("faces")
    assert json.loads(path.read_text())["sections"]["faces"]["rows"] == []
    with pytest.raises(OthersError, match=r"'cpu'.*'cuda'"):
        Ledger(path, {"device": "cuda"}, again=False)
    assert Ledger(path, {"device": "cuda"}, again=True).state("faces") is None
    assert [each.name for each in path.parent.iterdir()] == ["gpu.json"]


def content() -> dict[str, Any]:
    way = {"threads": 8, "processes": 1, "frames": 1000, "faces": 500, "cores_busy": 2.0}
    way |= {"detect_frames_per_s": 2000, "detect_device_busy": 0.9, "frames_per_s": 1000}
    way |= {"embed_frames_per_s": 2000, "embed_device_busy": 0.3, "gpu_busy": 0.5, "gpu_mib": 3000}
    files = {"part": "files", "precision": "fp16", "cores_busy": 15.0, "gpu_busy": 0.2}
    rows = {
        "machine": [{"device": "NVIDIA H200", "cores": 16, "python": "3.12", "torch": "2.13"}],
        "faces": [
            {"every": "auto", "min_size": 60, "coverage": 1.0, "ok": True, "bound": "px 1"},
            {"every": 1, "min_size": 20, "coverage": 0.5, "ok": False, "bound": "px 1"},
        ],
        "whole": [way, {"threads": 4, "processes": 4, "error": "ValueError: x"}],
        "embed": [
            files | {"backbone": name, "threads": threads, "faces_per_s": rate}
            for name, threads, rate in (("a", 8, 1000), ("a", 16, 4000), ("b", 16, 2000))
        ],
    }
    sections = {name: {"state": "done", "rows": own} for name, own in rows.items()}
    sections["whole"]["state"] = "failed"
    return {"sections": sections}


def test_the_table_tells_what_is_wrong_and_how_long_it_takes() -> None:
    from table import DAISEE, table, wrong

    text = table(content())
    assert wrong(content()) == ["faces: every 1, min_size 20", "whole: failed"]
    assert "NVIDIA H200, 16 cores, Python 3.12, torch 2.13" in text
    assert "| faces: every 1, min_size 20 | coverage 0.5 | px 1 | **no** |" in text
    assert "ValueError: x | | | | | **failed** |" in text
    # Only the quicker setting of a network is in bold.
    assert "**4,000 faces**" in text and "| 1,000 faces |" in text and "**2,000 faces**" in text
    hours = [DAISEE / 2000 / 3600, DAISEE / 2 / 4000 / 3600, DAISEE / 2 / 2000 / 3600]
    assert (
        f"Hours for DAiSEE (9,068 clips of 300 frames): {sum(hours):.2f} (decoding and detection "
        f"{hours[0]:.2f}, a {hours[1]:.2f}, b {hours[2]:.2f})."
    ) in text
    assert "embeddings of one backbone: 1,000 frames/s" in text


def test_a_table_of_nothing_is_one_too() -> None:
    from table import table, wrong

    assert "not known" in table({"sections": {}}) and wrong({"sections": {}}) == []


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"gpu_busy": 0.9, "cores_busy": 16}, "device"),
        ({"device_busy": 0.85, "gpu_busy": 0.3, "cores_busy": 1}, "device"),
        ({"gpu_busy": 0.3, "cores_busy": 14}, "cores"),
        ({"gpu_busy": None, "cores_busy": 3.9, "threads": 4}, "its threads"),
        ({"gpu_busy": 0.3, "cores_busy": 3.9, "threads": 2, "processes": 4}, "hand-overs"),
        ({"gpu_busy": 0.3, "cores_busy": 1.0}, "its threads"),
        ({"gpu_busy": 0.3, "cores_busy": 0.5, "threads": 0}, "hand-overs"),
    ],
)
def test_what_a_stage_waits_for(row: dict[str, Any], wanted: str) -> None:
    from table import waits_for

    assert waits_for(row, 16) == wanted
