"""The environment of conda: what conda can make of its file, and the versions that are tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ENVS = Path(__file__).parents[2] / "envs"
TOOLS = {"pytest", "pytest-xdist", "hypothesis", "ruff", "mypy", "snakefmt"}
TOOLS |= {"types-pyyaml", "pandas-stubs"}
"""Of those who change the project, not of its jobs."""
ALONE = "facenet-pytorch"
"""Pins older packages than its code needs."""


def asked() -> dict[str, str]:
    """The packages that pip is asked for, and their versions."""
    environment = yaml.safe_load((ENVS / "affectflow.yaml").read_text())
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    return dict(line.split("==") for line in pip)


def locked() -> dict[str, str]:
    """The versions of requirements.lock under the Python of the environment."""
    found = {}
    for line in (ENVS / "requirements.lock").read_text().splitlines():
        match = re.match(r"([a-z0-9-]+)==(\S+)(?: ; (.*?))? \\$", line)
        if match and (match[3] is None or ">= '3.12'" not in match[3]):
            found[match[1]] = match[2]
    return found


def test_versions_are_those_that_are_tested() -> None:
    versions = locked()
    assert asked() == {name: versions[name] for name in asked()}


def test_nothing_is_left_out() -> None:
    lines = (ENVS / "requirements.in").read_text().lower().splitlines()
    direct = {re.split(r"[<>=]", line)[0].strip() for line in lines if line.strip()}
    missing = {name for name in direct if not name.startswith("#")} - TOOLS - {ALONE}
    assert missing <= asked().keys()


def test_pip_is_given_no_options() -> None:
    """A file of conda's takes none but a few, and looks for other files beside a copy of itself."""
    environment = yaml.safe_load((ENVS / "affectflow.yaml").read_text())
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in pip)
    assert ALONE not in asked()


@pytest.mark.parametrize("part", ["--no-deps", "--require-hashes", "<<'END'"])
def test_what_pins_older_packages_comes_alone(part: str) -> None:
    script = (ENVS / "affectflow.post-deploy.sh").read_text()
    lock = (ENVS / "requirements.lock").read_text()
    start = lock.index(f"\n{ALONE}==") + 1
    block = re.match(r"\S+ \\\n(    --hash=\S+( \\)?\n)+", lock[start:])
    assert block and block[0].rstrip() in script, "as it stands in requirements.lock"
    assert part in script
