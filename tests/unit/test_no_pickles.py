"""Nothing that is read can run code: no file is unpickled as objects."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from affectflow.registry import PACKAGE

SCRIPTS = PACKAGE.parents[1] / "workflow" / "scripts"
FORBIDDEN = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "pandas.read_pickle",
    "joblib.load",
    "yaml.load",
    "yaml.unsafe_load",
    "eval",
    "exec",
}


@pytest.mark.parametrize(
    "file", sorted([*PACKAGE.rglob("*.py"), *SCRIPTS.glob("*.py")]), ids=lambda file: file.name
)
def test_no_file_is_unpickled(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert name not in FORBIDDEN, f"line {node.lineno}: {name}"
            if name == "torch.load":
                assert options.get("weights_only") == "True", f"line {node.lineno}"
            assert options.get("allow_pickle", "False") == "False", f"line {node.lineno}"
