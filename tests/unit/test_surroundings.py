"""What jobs find around them: modules of the environment, and places that can be written to."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from affectflow import surroundings

SOURCE = str(Path(surroundings.__file__).parents[1])


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of a loaded module: another numpy and torch, and a part of another Python."""
    folder = tmp_path / "module"
    for name in ("numpy", "torch", "yaml"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise ImportError('{name} of the module')\n")
    (folder / "enum.py").write_text("raise ImportError('enum of another Python')\n")
    return folder


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set here is this process's own again afterwards."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(sys, "path", sys.path.copy())


def test_the_environment_wins_over_a_modules_packages(foreign: Path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{foreign}{os.pathsep}{SOURCE}"}
    code = [sys.executable, "-c", "import numpy, torch, yaml, affectflow; print(numpy.__file__)"]
    # Without `site`, and what `make` put there against this very fault.
    bare = [sys.executable, "-S", "-c", "import numpy"]
    broken = subprocess.run(bare, env=environment, capture_output=True, text=True, check=False)
    assert "numpy of the module" in broken.stderr, "the folder does shadow"
    surroundings.use_own_modules(SOURCE, environment)
    done = subprocess.run(code, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(sys.prefix), done.stderr
    assert environment["PYTHONPATH"] == SOURCE


def test_an_environment_that_lacks_packages_finds_a_modules(foreign: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(foreign), "PYTHONHOME": "/sw/python"}
    surroundings.use_own_modules(SOURCE, environment, str(tmp_path / "empty"))
    assert environment["PYTHONPATH"] == f"{SOURCE}{os.pathsep}{foreign}"
    assert environment["PYTHONHOME"] == "/sw/python"


def test_this_process_looks_there_last(foreign: Path) -> None:
    sys.path.insert(1, str(foreign))
    environment = {"PYTHONPATH": str(foreign)}
    surroundings.use_own_modules(SOURCE, environment)
    assert sys.path[-1] == str(foreign)
    assert sys.path.count(str(foreign)) == 1


def test_what_else_changes_how_jobs_run() -> None:
    environment = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    environment |= {"PYTHONOPTIMIZE": "1", "PYTHONHOME": "/sw/python/3.6"}
    surroundings.use_own_modules(SOURCE, environment)
    assert environment == {
        "HDF5_USE_FILE_LOCKING": "FALSE",
        "MPLBACKEND": "Agg",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": SOURCE,
    }


def test_a_folder_leads_a_path_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACES", f"/a{os.pathsep}/b{os.pathsep}{os.pathsep}/a")
    surroundings.lead_path("PLACES", "/b")
    assert os.environ["PLACES"] == f"/b{os.pathsep}/a{os.pathsep}/a"


def test_places_that_can_be_written_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.setitem(os.environ, "TMPDIR", str(tmp_path / "a"))
    monkeypatch.setitem(os.environ, "XDG_CACHE_HOME", str(tmp_path / "b" / "c"))
    before = dict(os.environ)
    assert surroundings.use_writable_places(tmp_path / "spare") == []
    assert dict(os.environ) == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"], "nothing is made"


@pytest.mark.parametrize("kind", ["full", "gone", "a file", "a link", "where nothing can be made"])
def test_others_are_replaced(
    tmp_path: Path, small_disk: Callable[[Path, int], None], kind: str
) -> None:
    place = tmp_path / "place"
    if kind == "full":
        place.mkdir()
        small_disk(place, 2**16)
    elif kind == "a file":
        place.touch()
    elif kind == "a link":
        place.symlink_to("/nowhere/at/all")
    elif kind != "gone":
        place = Path("/proc/sys")
    os.environ["TMPDIR"] = str(place)
    os.environ["XDG_CACHE_HOME"] = str(place)
    (said,) = surroundings.use_writable_places(tmp_path / "spare")
    assert said.startswith(f"{place} takes no temporary files (")
    used = os.environ["TMPDIR"]
    assert said.endswith(f"{used} is used instead")
    assert tempfile.gettempdir() == used == os.environ["TEMP"]
    # A folder that is gone is made by who needs a cache.
    kept = str(place) if kind == "gone" else str(tmp_path / "spare" / "cache")
    assert os.environ["XDG_CACHE_HOME"] == kept


def test_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    os.environ.pop("XDG_CACHE_HOME", None)
    os.environ["TMPDIR"] = str(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert surroundings.use_writable_places(tmp_path / "spare") == []


@pytest.mark.parametrize("kind", ["full", "gone", "a file"])
def test_why_a_folder_can_not_be_written_to(
    tmp_path: Path, small_disk: Callable[[Path, int], None], kind: str
) -> None:
    folder = tmp_path / "folder"
    if kind == "full":
        folder.mkdir()
        small_disk(folder, 2**16)
    elif kind == "a file":
        folder.touch()
    why = {"full": "No space left on device", "gone": "No such file or directory"}
    assert surroundings.why_not_writable(folder) == why.get(kind, "Not a directory")
    assert surroundings.why_not_writable(tmp_path) is None
