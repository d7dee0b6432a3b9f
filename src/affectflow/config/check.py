"""Check a mapping against a JSON schema, with errors that name the key and a remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from affectflow.config.read import read_yaml
from affectflow.errors import UserError, did_you_mean


def _is_integer(_: Any, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and isfinite(value))


# JSON Schema takes 4.0 for an integer, and no side of a limit is NaN's; range() takes neither.
STRICT = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)
NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
}
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "of {} or more",
    "maxItems": "of at most {}",
    "minProperties": "with {} entries or more",
}


def check(
    settings: Mapping[str, Any],
    schema: Path,
    where: str = "",
    place: Callable[[Sequence[Any]], str] = lambda keys: "",
) -> None:
    """Check `settings` against the schema in the file `schema`.

    Parameters
    ----------
    settings : mapping
    schema : Path
        A JSON schema written as YAML.
    where : str
        Put before each key in a message, such as ``"config: "``.
    place : callable
        Given the way to a key, returns where it was set, for the end of a message.

    Raises
    ------
    UserError
        For the first fault, unknown keys first; it names the key in dotted form.
    """
    validator = STRICT(read_yaml(schema))
    errors = sorted(
        validator.iter_errors(settings),
        key=lambda e: (e.validator != "additionalProperties", [str(p) for p in e.absolute_path]),
    )
    if errors:
        raise _explain(errors[0], where, place)


def in_yaml(value: Any) -> str:
    """Return a value as a config has it."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return value.isoformat() if isinstance(value, date) else repr(value)


def allowed(schema: Mapping[str, Any]) -> str:
    """Return what a JSON schema allows, in words."""
    if choices := [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        return ", or ".join(allowed(choice) for choice in choices)
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join("null" if x is None else str(x) for x in schema["enum"])
    declared = schema.get("type", "")
    types = [declared] if isinstance(declared, str) else declared
    text = " or ".join(NAMES.get(name, name) for name in types) or "another value"
    if "array" in types and "items" in schema:
        text = text.replace(NAMES["array"], f"a list ({allowed(schema['items'])})")
    bounds = [word.format(schema[name]) for name, word in LIMITS.items() if name in schema]
    bounds += ["each once"] * bool(schema.get("uniqueItems"))
    if "pattern" in schema:
        bounds.append(schema.get("description", f"matching {schema['pattern']}").rstrip("."))
    return ", ".join([text, *bounds])


def _explain(
    error: ValidationError, where: str, place: Callable[[Sequence[Any]], str]
) -> UserError:
    keys = list(error.absolute_path)
    key = ".".join(map(str, keys))
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = sorted((name for name in error.instance if name not in known), key=str)[0]
        full = ".".join(part for part in (key, str(unknown)) if part)
        return UserError(
            f"{where}unknown key '{full}'{place([*keys, unknown])}",
            did_you_mean(str(unknown), known),
        )
    if error.validator == "required":
        missing = error.message.split("'")[1]
        full = ".".join(part for part in (key, missing) if part)
        return UserError(f"{where}key '{full}' is missing{place(keys)}", "Add it.")
    value = error.instance
    if error.validator == "enum" and isinstance(value, str):
        words = [in_yaml(item) if item is None else str(item) for item in error.validator_value]
        return UserError(f"{where}{key} is '{value}'{place(keys)}", did_you_mean(value, words))
    remedy = f"It must be {allowed(error.schema)}."
    # A word such as no, on or a date, and an id of digits, are no texts to YAML.
    if isinstance(value, (bool, date, int, float)) and "text" in remedy:
        remedy += " Put a text that YAML takes for another value in quotes."
    return UserError(f"{where}{key} is {in_yaml(value)}{place(keys)}", remedy)
