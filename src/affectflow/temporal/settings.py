"""A head's settings, read without running the head: the parse step has no torch."""

from __future__ import annotations

import ast
from typing import Any

from affectflow import registry

HEADS = "temporal.heads"


def head_settings(head: str) -> dict[str, dict[str, Any]]:
    """Return the literal `SETTINGS` of ``temporal/heads/HEAD.py``: key to JSON schema.

    Raises
    ------
    UserError
        If there is no such head.
    """
    name = registry.require(HEADS, head, "head")
    file = registry.PACKAGE.joinpath(*HEADS.split("."), f"{name}.py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SETTINGS":
            return dict(ast.literal_eval(node.value))
    raise AttributeError(f"{file} has no literal SETTINGS")
