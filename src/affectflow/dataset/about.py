"""What may be said of the people in a data set, and of its labels: of this data set alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from affectflow import registry
from affectflow.dataset.paths import root_of

FILE = "about.txt"
MOST = 4000  # characters of it: it stands on every page


def about(settings: Mapping[str, Any]) -> list[str]:
    """Return sentences on who took part and how clips were labelled; none where it is not known.

    What the config says (``dataset.about``) comes first, then the file ``about.txt`` in the data
    set's root, a line each, then what its layout knows (``ABOUT`` in the layout's file).

    Parameters
    ----------
    settings : mapping
        ``dataset`` of the config.
    """
    if text := " ".join((settings.get("about") or "").split()):
        return [text]
    try:
        with (root_of(settings) / FILE).open(encoding="utf-8-sig", errors="replace") as opened:
            lines = opened.read(MOST).splitlines()
    except OSError:
        return list(getattr(registry.load("dataset.layouts", settings["layout"]), "ABOUT", ()))
    return [" ".join(line.split()) for line in lines if line.strip()]


def as_caption(sentences: Sequence[str]) -> list[str]:
    """Return sentences as reStructuredText that means them to the letter."""
    return [re.sub(r"([^\w\s]|_)", r"\\\1", sentence) for sentence in sentences]
