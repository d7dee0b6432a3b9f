"""YAML as people write it: what its readers would pass over in silence is told, with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from affectflow.errors import UserError

# YAML 1.1 wants a point in a float, and so does PyYAML: 1e-3 would be a text.
FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z")
OCTAL = re.compile(r"[-+]?0[0-7_]+")
BASE_60 = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?")
TEMPLATE = "__use_yte__"
"""A key of files that Snakemake fills in by rules of its own."""


class _Loader(yaml.SafeLoader):
    """Safe, and with `FLOAT`."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def read_yaml(path: Path) -> Any:
    """Read a YAML file, or a JSON one.

    Raises
    ------
    UserError
        If it is missing, not YAML or not UTF-8, names a key twice, or has a value or key that YAML
        reads as another than it looks: `010`, `1:30`, a key `on`.
    """
    node = _compose(path)
    if not isinstance(node, yaml.Node):
        return node
    _check(path, node)
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from error
    except ValueError as error:  # a 31st of February, !!int x
        raise UserError(
            f"{path}: has a value that is none: {error}", "Put a text in quotes, or mend the value."
        ) from error


def check_files(files: Iterable[Path]) -> None:
    """Check config files that Snakemake has read in its own way, as `read_yaml` does.

    Raises
    ------
    UserError
        As `read_yaml`; or if a file is no mapping.
    """
    for path in files:
        found = read_yaml(path)
        if not isinstance(found, Mapping):
            raise UserError(
                f"{path}: is no mapping of keys to values",
                "Write `key: value` lines, with a blank after the colon.",
            )


def place(keys: Sequence[Any], files: Sequence[Path], given: Mapping[str, Any]) -> str:
    """Return where a key of the merged config was set: " (FILE, line N)", or "".

    Parameters
    ----------
    keys : sequence
        The way to the key, from the top.
    files : sequence of Path
        The config files, each merged over those before it.
    given : mapping
        What was set on the command line, over all files.
    """
    if _has(given, keys):
        return " (--config)"
    for path in reversed(files):
        node = _compose(path)
        line = _line(node, keys) if isinstance(node, yaml.Node) else None
        if line is not None:
            return f" ({path.name}, line {line})"
    return ""


def _compose(path: Path) -> Any:
    """Return a file's nodes; of JSON that is no YAML, its content."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", "Check the path in the config.") from error
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise UserError(
                f"{path}, line {line}: is not UTF-8 text (byte 0x{data[error.start]:02x})",
                "Save the file as UTF-8.",
            ) from error
    try:
        return yaml.compose(data, Loader=_Loader)
    except yaml.YAMLError as error:
        try:
            return json.loads(data, object_pairs_hook=lambda pairs: _pairs(path, pairs))
        except ValueError:
            raise _not_yaml(path, error) from error


def _pairs(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}: key '{name}' is there twice", "Keep one of them.")
    return dict(pairs)


def _not_yaml(path: Path, error: yaml.YAMLError) -> UserError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = f", line {mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    remedy = "Mend the line, or the one above it."
    if "\\t" in problem:
        remedy = "Indent with blanks, not with tabs."
    elif "mapping values" in problem:
        remedy = "Mend the indentation; a text with a colon in it needs quotes."
    elif "document" in problem:
        remedy = "Remove the line `---` between its parts: a config is one document."
    return UserError(f"{path}{line}: is not YAML: {problem}", remedy)


def _check(path: Path, top: yaml.Node) -> None:
    if isinstance(top, yaml.MappingNode) and any(key.value == TEMPLATE for key, _ in top.value):
        return
    waiting, known = [top], {id(top)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(path, node)
            continue
        parts = node.value
        if isinstance(node, yaml.MappingNode):
            _check_keys(path, [key for key, _ in parts])
            parts = [value for _, value in parts]
        # An anchor's node stands in several places, or in itself.
        new = [part for part in parts if id(part) not in known]
        known.update(map(id, new))
        waiting += reversed(new)


def _check_keys(path: Path, keys: list[yaml.Node]) -> None:
    lines: dict[str, int] = {}
    for key in keys:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise UserError(f"{path}, line {line}: a key is a list or a mapping", "Name it.")
        if key.tag.endswith((":bool", ":null")):
            what = "true or false" if key.tag.endswith(":bool") else "null"
            raise UserError(
                f"{path}, line {line}: the key {key.value or '(empty)'} is {what} to YAML",
                f"Put it in quotes: '{key.value}'." if key.value else "Name the key.",
            )
        _check_scalar(path, key)
        if FLOAT.fullmatch(key.value):
            key.tag = "tag:yaml.org,2002:str"  # a name
        if key.value in lines and not key.tag.endswith(":merge"):
            raise UserError(
                f"{path}: key '{key.value}' stands on line {lines[key.value]} and on line {line}",
                "Keep one of them: the first would be passed over.",
            )
        lines[key.value] = line


def _check_scalar(path: Path, node: yaml.ScalarNode) -> None:
    if node.style is not None or not node.tag.endswith((":int", ":float")):
        return
    line, text = node.start_mark.line + 1, node.value
    if OCTAL.fullmatch(text):
        number = text.lstrip("+-0_") or "0"
        raise UserError(
            f"{path}, line {line}: {text} is {int(text.replace('_', ''), 8)} to YAML, which counts "
            "by eights after a 0",
            f"Write {number}, or '{text}' in quotes for a text.",
        )
    if BASE_60.fullmatch(text):
        raise UserError(
            f"{path}, line {line}: {text} is a number to YAML, which counts by sixties",
            f"Put a text in quotes: '{text}'.",
        )


def _has(tree: Any, keys: Sequence[Any]) -> bool:
    for key in keys:
        if not isinstance(tree, Mapping) or key not in tree:
            return isinstance(tree, (list, tuple))
        tree = tree[key]
    return bool(keys)


def _line(node: yaml.Node, keys: Sequence[Any]) -> int | None:
    line = None
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        match = next(((k, v) for k, v in pairs if k.value == str(key)), None)
        if match is None:
            return None
        line, node = match[0].start_mark.line + 1, match[1]
    return line
