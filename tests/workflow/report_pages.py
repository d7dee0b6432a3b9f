"""What a report says, whole: its own text and the pages that it carries."""

from __future__ import annotations

import base64
import re
from pathlib import Path

CARRIED = re.compile(r"data:(?:text/html|image/svg\+xml)[^,\"]*;base64,([A-Za-z0-9+/=]+)")


def pages_of(report: Path) -> list[str]:
    """Return the report and each page and figure in it, as text."""
    text = report.read_text()
    return [text, *(base64.b64decode(part).decode() for part in CARRIED.findall(text))]
