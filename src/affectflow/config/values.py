"""Values that arrive as texts: from ``--config``, from quotes, or as ``1e-3`` in YAML 1.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
NOTHING = ("null", "~", "none", "")


def as_meant(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value in the type that its schema asks for, where it can only mean that.

    A text becomes a number, a truth value or null where a text is not allowed (null also where one
    is). What fits nothing stays as it is, for the check to name.

    Parameters
    ----------
    value : object
        Mappings and lists with all that is in them.
    schema : mapping
        JSON schema.
    """
    if isinstance(value, Mapping):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, Mapping) else {}
        return {key: as_meant(part, known.get(key, others)) for key, part in value.items()}
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        meant = as_meant(value, choice)
        if type(meant) is not type(value) or (isinstance(value, list) and meant != value):
            return meant
    if isinstance(value, list):
        return [as_meant(part, schema.get("items", {})) for part in value]
    return _from_text(value, _types(schema)) if isinstance(value, str) else value


def _types(schema: Mapping[str, Any]) -> set[str]:
    if "enum" in schema:
        names = {type(None): "null", str: "string", bool: "boolean"}
        return {names.get(type(item), "number") for item in schema["enum"]}
    declared = schema.get("type", [])
    return {declared} if isinstance(declared, str) else set(declared)


def _from_text(text: str, allowed: set[str]) -> Any:
    plain = text.strip()
    if "null" in allowed and plain.lower() in NOTHING[: None if "string" not in allowed else 2]:
        return None
    if "string" in allowed:
        return text
    if allowed & {"integer", "number"} and INTEGER.fullmatch(plain):
        return int(plain)
    if "number" in allowed and NUMBER.fullmatch(plain):
        return float(plain)
    if "boolean" in allowed and plain.lower() in WORDS:
        return WORDS[plain.lower()]
    return text
