"""Corpora, and full runs over them, shared by the tests."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from needs import lacking
from reliability import write_table
from study import CHECKOUT, SMALL, Study, copy_checkout
from xdist.scheduler import LoadScopeScheduling

from affectflow.demo.corpus import generate, write_corpus
from affectflow.demo.empty import write_empty_daisee
from affectflow.demo.expressions import write_expressions
from affectflow.demo.plan import plan_corpus
from affectflow.demo.teacher import train_on_generated_faces
from affectflow.teacher.training import Trained

# How long an example takes is the machine's matter.
settings.register_profile("affectflow", deadline=None)
settings.load_profile("affectflow")

Once = Callable[[str, Callable[[Path], None]], Path]

SURVIVED = pytest.StashKey[list[tuple[str, str, str]]]()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real videos and published tables, which the project does not ship."""
    folder = CHECKOUT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(
            "needs a folder ../shared with real people's videos and published tables, which this "
            "project may not ship"
        )
    return folder


@pytest.fixture(scope="session")
def real_corpus(shared: Path) -> Path:
    """Real people's videos in DAiSEE's layout."""
    return shared / "corpus"


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Make a folder once for all the processes of the tests."""
    top = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        top = top.parent

    def once(name: str, make: Callable[[Path], None]) -> Path:
        folder, made = top / name, top / f"{name}.made"
        with FileLock(top / f"{name}.lock"):
            if not made.exists():
                make(folder)
                made.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def small_corpus(once: Once) -> Path:
    """A dozen clips of the demo corpus: three training subjects, one to validate, two to test."""
    return once("small_corpus", write_small_corpus)


def write_small_corpus(root: Path) -> None:
    sizes = {"Train": 3, "Validation": 1, "Test": 2}
    plan = plan_corpus(1)
    subjects = {
        split: sorted({clip.subject for clip in plan if clip.split == split})[:size]
        for split, size in sizes.items()
    }
    clips = [clip for clip in plan if clip.subject in subjects[clip.split]]
    chosen = [clip for clip in clips if clip.name[6:10] in ("0001", "0002")]
    write_corpus(chosen, root, 1, 2)


@pytest.fixture(scope="session")
def finished(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that ran to its end. Copy it before changing anything."""
    top = tmp_path_factory.mktemp("finished")
    folder = top / "folder"
    # The corpus lies in the study's folder, so that a copy of the study has one of its own.
    shutil.copytree(small_corpus, folder / "corpus")
    config = {**SMALL, "dataset": {"root": "corpus"}}
    study = Study(copy_checkout(top / "checkout"), folder, config)
    run = study.run()
    assert run.code == 0, run.out
    return study


@pytest.fixture(scope="session")
def demo_corpus(once: Once) -> Path:
    """The demo's videos and labels."""
    return once("demo_corpus", generate)


@pytest.fixture(scope="session")
def demo(demo_corpus: Path, once: Once) -> Path:
    """The results of the demo."""

    def make(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        run = Study(CHECKOUT, folder, {"dataset": {"root": str(demo_corpus)}}).run()
        assert run.code == 0, run.out

    return once("demo", make) / "results"


@pytest.fixture(scope="session")
def expressions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pair of data sets to train the teacher on, in their distributed formats."""
    root = tmp_path_factory.mktemp("expressions")
    write_expressions(root, identities=12, per_identity=4, triplets=24)
    return root


@pytest.fixture(scope="session")
def taught(once: Once) -> tuple[Path, Trained]:
    """Extractor 1, trained on generated faces, and the folder of what it was trained on."""

    def make(folder: Path) -> None:
        trained = train_on_generated_faces(folder)
        (folder / "trained.pickle").write_bytes(pickle.dumps(trained))

    folder = once("taught", make)
    return folder, pickle.loads((folder / "trained.pickle").read_bytes())


@pytest.fixture
def daisee(tmp_path: Path) -> Path:
    """9,068 clips of 112 subjects; the videos are empty files."""
    root = tmp_path / "DAiSEE"
    write_empty_daisee(root)
    return root


@pytest.fixture
def seen_by_all() -> Iterator[Path]:
    """A folder that every user may look into: pytest's own are its user's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for closed in folder.rglob("*"):
        if closed.is_dir():
            closed.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[Path, int], None]]:
    """Mount a disk of so many bytes at a folder until the test ends."""
    mounted = []

    def mount(folder: Path, size: int) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lacking(f"no small disk can be made here: {done.stderr.strip()}")
        mounted.append(str(folder))

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def survived(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Note a fault that lost nothing, for the table of docs/reliability.md."""

    def note(fault: str, what_happened: str) -> None:
        rows = request.config.stash[SURVIVED]
        rows.append((fault, what_happened, request.node.name))

    return note


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="kill jobs for an hour, not for minutes")
    parser.addoption(
        "--reliability",
        type=Path,
        help="put the table of survived faults into this file, if all passes",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SURVIVED] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    path, rows = session.config.getoption("--reliability"), session.config.stash[SURVIVED]
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["survived"] = rows
    elif path and session.testsfailed == 0:
        write_table(path, rows)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what the tests of another process saw."""
    output = getattr(node, "workeroutput", {})
    node.config.stash[SURVIVED] += map(tuple, output.get("survived", []))


class Lanes(LoadScopeScheduling):
    """The cluster's tests, which mostly wait, in a process of their own beside all others."""

    def _split_scope(self, nodeid: str) -> str:
        return "cluster" if nodeid.startswith("tests/cluster/") else "machine"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    return Lanes(config, log)
