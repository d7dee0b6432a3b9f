"""Plug-ins by file: a module in a sub-package is an entry of that name.

Nothing is imported to list the names, so the workflow can check a config without loading torch,
and a new entry changes no existing file (and so reruns nothing that exists).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from affectflow.errors import UserError, did_you_mean

PACKAGE = Path(__file__).parent


def names(package: str) -> list[str]:
    """Return the entries of a sub-package, such as ``"backbones.models"``, sorted."""
    folder = PACKAGE.joinpath(*package.split("."))
    return sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))


def require(package: str, name: str, where: str = "") -> str:
    """Return `name` if it is an entry of `package`.

    Raises
    ------
    UserError
        If it is not; `where` is the config key to name.
    """
    known = names(package)
    if name not in known:
        kind = package.split(".")[-1].rstrip("s").replace("model", "backbone")
        raise UserError(f"{where}: unknown {kind} '{name}'".lstrip(": "), did_you_mean(name, known))
    return name


def load(package: str, name: str) -> ModuleType:
    """Import one entry.

    Raises
    ------
    UserError
        If there is no such entry.
    """
    return import_module(f"affectflow.{package}.{require(package, name)}")
