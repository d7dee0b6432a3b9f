"""What made the embeddings of a study's shards: the same in all, or refused, or told."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectflow.errors import UserError

SAME = {
    "backbone": "backbones",
    "weights": "weights",
    "faces": "settings of `faces`",
    "sampling": "settings of `frames`",
}
"""What must be the same in all shards, and its name for people."""

TOLD = {
    "precision": "precisions",
    "decoder": "decoders of frames",
    "code": "versions of the code",
    "faces_code": "versions of the code that finds faces",
}
"""What may differ, and is told: the numbers differ a little."""

SHOWN = 3


def faces_origin(made_by: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what decided the faces of some shards, each different answer once.

    Parameters
    ----------
    made_by : sequence of mapping
        Of the shards of faces.
    """
    kept = (
        {key: made.get(key) for key in ("faces", "sampling", "decoder", "code")} for made in made_by
    )
    return [json.loads(text) for text in sorted({json.dumps(own, sort_keys=True) for own in kept})]


def agreed(made_by: Mapping[Path, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what made some shards of embeddings.

    Parameters
    ----------
    made_by : mapping
        Shard to what its attribute of that name says.

    Returns
    -------
    dict
        ``backbone`` and ``weights`` as texts; of what may differ (`TOLD`), how many shards each
        value has.

    Raises
    ------
    UserError
        If the shards differ in what makes their numbers incomparable (`SAME`).
    """
    shards_of = _by_value(made_by)
    for key, called in SAME.items():
        if len(shards_of[key]) > 1:
            folder = min(made_by).parent
            raise UserError(
                f"{folder}: shards of different {called}: "
                + "; ".join(_said(value, shards) for value, shards in shards_of[key].items()),
                f"Remove the shards that are not of this study, or {folder} as a whole, and run "
                "snakemake again: it makes what is missing.",
            )
    found: dict[str, Any] = {
        key: value for key in ("backbone", "weights") for value in shards_of[key]
    }
    return found | {
        key: {value: len(shards) for value, shards in sorted(shards_of[key].items())}
        for key in TOLD
        if shards_of[key]
    }


def differences(origin: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each thing in which joined shards differ, of what `agreed` returns."""
    found = []
    for key, called in TOLD.items():
        counts = origin.get(key, {})
        if len(counts) > 1:
            each = [f"{value} ({n} shard{'s' * (n > 1)})" for value, n in counts.items()]
            found.append(f"embeddings of {len(counts)} {called}: {', '.join(each)}")
    return found


def _by_value(made_by: Mapping[Path, Mapping[str, Any]]) -> dict[str, dict[str, list[Path]]]:
    """Return, of each key, each value's shards; what a shard does not say is left out."""
    shards_of: dict[str, dict[str, list[Path]]] = {key: defaultdict(list) for key in SAME | TOLD}

    def add(key: str, value: Any, shard: Path) -> None:
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            if shard not in shards_of[key][text]:
                shards_of[key][text].append(shard)

    for shard, own in made_by.items():
        for key in ("backbone", "weights", "precision", "code"):
            add(key, own.get(key), shard)
        for faces in own.get("faces_made_by", ()):
            for key in ("faces", "sampling"):
                add(key, faces.get(key), shard)
            add("decoder", faces.get("decoder") or "the CPU's", shard)
            add("faces_code", faces.get("code"), shard)
    return shards_of


def _said(value: str, shards: Sequence[Path]) -> str:
    names = ", ".join(shard.name for shard in shards[:SHOWN])
    return f"{value} ({names}{f' and {len(shards) - SHOWN} more' * (len(shards) > SHOWN)})"
