"""Plug-ins by file: a module in a sub-package is an entry of that name.

Nothing is imported to list the names, so the workflow can check a config without loading torch,
and a new entry changes no existing file (and so reruns nothing that exists).
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

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
        plural = package.split(".")[-1]
        kind = {"models": "backbone", "losses": "loss"}.get(plural, plural.removesuffix("s"))
        raise UserError(f"{where}: unknown {kind} '{name}'".lstrip(": "), did_you_mean(name, known))
    return name


def literal(package: str, name: str, constant: str) -> Any:
    """Return a literal constant of an entry, without importing it: entries load torch.

    Raises
    ------
    UserError
        If there is no such entry.
    AttributeError
        If it has no such constant, or not as a literal.
    """
    file = PACKAGE.joinpath(*package.split("."), f"{require(package, name)}.py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        if node.value and ast.unparse(target) == constant:
            return ast.literal_eval(node.value)
    raise AttributeError(f"{file} has no literal {constant}")


def load(package: str, name: str) -> ModuleType:
    """Import one entry.

    Raises
    ------
    UserError
        If there is no such entry.
    """
    return import_module(f"affectflow.{package}.{require(package, name)}")
