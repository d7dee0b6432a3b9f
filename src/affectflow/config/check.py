"""Check a mapping against a JSON schema, with errors that name the key and a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from affectflow.errors import UserError, did_you_mean

# JSON Schema takes 4.0 for an integer; range() does not.
STRICT = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    UserError
        If it is missing or not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", "Check the path in the config.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML: {error}", "Mend the file.") from error


def check(settings: Mapping[str, Any], schema: Path, where: str = "") -> None:
    """Check `settings` against the schema in the file `schema`.

    Parameters
    ----------
    settings : mapping
    schema : Path
        A JSON schema written as YAML.
    where : str
        Put before each key in a message, such as ``"config: "``.

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
        raise _explain(errors[0], where)


def _explain(error: ValidationError, where: str) -> UserError:
    key = ".".join(str(part) for part in error.absolute_path)
    prefix = f"{where}{key}"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = sorted(str(name) for name in error.instance if name not in known)[0]
        full = ".".join(part for part in (key, unknown) if part)
        return UserError(f"{where}unknown key '{full}'", did_you_mean(unknown, known))
    if error.validator == "required":
        missing = error.message.split("'")[1]
        full = ".".join(part for part in (key, missing) if part)
        return UserError(f"{where}key '{full}' is missing", "Add it.")
    if error.validator == "enum":
        value = str(error.instance)
        allowed = [str(item) for item in error.validator_value]
        return UserError(f"{prefix} is '{value}'", did_you_mean(value, allowed))
    what = _allowed(error.schema)
    return UserError(f"{prefix} is {error.instance!r}", f"It must be {what}.")


def _allowed(schema: Mapping[str, Any]) -> str:
    names = {"integer": "a whole number", "number": "a number", "string": "text"}
    names |= {"null": "null", "object": "a mapping", "array": "a list", "boolean": "true or false"}
    declared = schema.get("type", "")
    types = [declared] if isinstance(declared, str) else declared
    text = " or ".join(names.get(name, name) for name in types) or "another value"
    limits = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    limits |= {"pattern": "matching", "minItems": "items: at least"}
    limits |= {"minProperties": "entries: at least", "exclusiveMaximum": "less than"}
    bounds = [f"{word} {schema[name]}" for name, word in limits.items() if name in schema]
    return ", ".join([text, *bounds])
