"""What a layout reports: videos found, labels read, and rows that explain what is not used."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from affectflow.dataset.tasks import Task, Value

SPLITS = ("train", "validation", "test")
VIDEO_SUFFIXES = frozenset(
    {
        ".avi", ".divx", ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".mpg", ".mpeg", ".m2v",
        ".vob", ".ts", ".mts", ".m2ts", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv",
        ".dv", ".mxf", ".mjpg", ".mjpeg", ".h264", ".h265", ".hevc",
    }
)  # fmt: skip

PASSED_OVER = "passed_over"
"""Audit status of a file that is no clip, whatever its name or a table says."""


@dataclass(frozen=True)
class Video:
    """A video file of a clip; `path` is relative to the data set's root, `bytes` its size."""

    clip_id: str
    subject: str
    split: str
    path: str
    bytes: int


@dataclass(frozen=True)
class Label:
    """A row of a label file: a level's code or a number by task name (None: none is usable)."""

    clip_id: str
    subject: str
    split: str
    levels: dict[str, Value | None]
    where: str


@dataclass(frozen=True)
class AuditRow:
    """A clip or label that is not used as it should be, and why."""

    clip_id: str
    subject: str
    split: str
    status: str
    detail: str


@dataclass
class Study:
    """All that a layout knows: tasks, videos, labels, and what it already had to pass over."""

    root: Path
    tasks: list[Task]
    videos: list[Video]
    labels: list[Label]
    audit: list[AuditRow] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Clip ids that a file which is not used for labels names, with that file."""
    why_none: dict[str, str] = field(default_factory=dict)
    """Clip ids of labels without a video, and what is known of the file that they name."""
    understood: list[str] = field(default_factory=list)
    """What was understood of each column of labels, a line each."""


class Layout(Protocol):
    """What a file in `dataset/layouts/` defines.

    It may also have `ABOUT`, sentences on who took part and how clips were labelled, for reports.
    """

    def files(self, settings: dict) -> list[Path]:
        """Return the label files: those whose change calls for a new index."""

    def read(self, settings: dict) -> Study:
        """Read the study. Opens no video."""
