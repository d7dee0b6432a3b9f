"""One SLURM for all tests of this folder, and one study that ran through it undisturbed."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import CONFIG, Lab, fill_profile
from needs import lacking
from study import copy_checkout

from slurm import Cluster, missing_programs

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running SLURM."""
    if missing := missing_programs():
        lacking(f"SLURM is not installed here: {', '.join(missing)} missing")
    # Where the tests themselves run in the background, Ctrl-C is ignored by all they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A short path: sockets lie in it, and theirs may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="lab"))
    cluster = Cluster(folder)
    cluster.start()
    yield cluster
    cluster.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose profile was filled in."""
    checkout = copy_checkout(tmp_path_factory.mktemp("cluster") / "checkout")
    fill_profile(checkout)
    return checkout


@pytest.fixture(scope="session")
def new_lab(
    cluster: Cluster, checkout: Path, small_corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Lab]:
    """Make a study that has not begun."""

    def make() -> Lab:
        folder = tmp_path_factory.mktemp("lab") / "folder"
        shutil.copytree(small_corpus, folder / "corpus")
        return Lab(checkout, folder, CONFIG, cluster)

    return make


@pytest.fixture(scope="session")
def undisturbed(new_lab: Callable[[], Lab]) -> Lab:
    """A study that nothing happened to. Copy it before changing anything."""
    lab = new_lab()
    run = lab.run("--slurm-keep-successful-logs")
    assert run.code == 0, run.out
    return lab


@pytest.fixture
def quiet(cluster: Cluster) -> Iterator[None]:
    """Nothing of a test is left in the queue for the next one."""
    yield
    cluster.clear()
