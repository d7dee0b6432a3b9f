"""The document names tests that are there, and all of them."""

from __future__ import annotations

import ast
import re

from reliability import DOCUMENT, named_in


def test_every_fault_of_the_tests_stands_in_the_document() -> None:
    folder = DOCUMENT.parents[1] / "tests"
    named = {re.sub(r"\[.*\]$", "", name) for name in named_in(DOCUMENT)}
    written = {
        node.name
        for file in ("cluster/test_faults.py", "cluster/test_random_kills.py")
        for node in ast.parse((folder / file).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert named == written | {"test_random_kills"}
    assert len(named) >= 12
