"""Digests of the library's code: what a rule runs, and nothing else.

Snakemake sees an edited script, but not an edited module that the script imports; and it sees a
script's modification time, not its content. The digest here is of content: the syntax trees
(without comments and docstrings) of a script and of all it imports from this package.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2]
PACKAGE = "affectflow"


def code_digest(*files: Path | str, without: Collection[str] = ()) -> str:
    """Return a digest of some Python files and everything of this package that they import.

    Parameters
    ----------
    *files : Path or str
        Paths of scripts, or dotted names of modules of this package.
    without : collection of str
        Packages to leave out, such as ``"affectflow.dataset"``: those whose result is digested
        itself.

    Returns
    -------
    str
        16 hexadecimal digits. Equal for equal code, wherever the checkout lies and whatever its
        files' times, comments, docstrings and formatting.
    """
    todo = [_file(name) if isinstance(name, str) else name for name in files]
    outside = [SOURCE.joinpath(*package.split(".")) for package in without]
    trees: dict[str, str] = {}
    while todo:
        file = todo.pop()
        name = str(file.relative_to(SOURCE)) if file.is_relative_to(SOURCE) else file.name
        if name not in trees:
            digest, imported = _parse(file)
            trees[name] = digest
            todo.extend(f for f in imported if not any(f.is_relative_to(o) for o in outside))
    return hashlib.sha256(repr(sorted(trees.items())).encode()).hexdigest()[:16]


def _file(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _parse(file: Path) -> tuple[str, tuple[Path, ...]]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_docstring(item)]  # type: ignore[attr-defined]
    ours = {m for m in modules if m.split(".")[0] == PACKAGE}
    packages = {parent for m in ours for parent in _parents(m)}
    imported = sorted(f for m in ours | packages if (f := _file(m)).is_file())
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(imported)


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]
