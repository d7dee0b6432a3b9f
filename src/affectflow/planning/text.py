"""A plan in words and figures, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap

from affectflow.planning.estimate import Plan, Row
from affectflow.planning.jobs import FRAMES
from affectflow.planning.rates import START

WIDTH = 80
DEVICES = {"cpu": "CPU", "cuda": "GPU", "mps": "MPS"}
HEADER = ("rule", "jobs", "on", "one job", "all jobs", "writes")


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: ``40 s``, ``12 min``, ``3.4 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"


def amount(size: float) -> str:
    """Return bytes in the unit that suits them: ``12 kB``, ``340 MB``, ``1.2 GB``."""
    for unit, factor in (("kB", 1e3), ("MB", 1e6)):
        if size < 1000 * factor:
            return f"{size / factor:.0f} {unit}"
    return f"{size / 1e9:,.1f} GB"


def describe(plan: Plan, warnings: list[str]) -> str:
    """Return the plan as text: the jobs, the totals, what they rest on, and last the warnings."""
    if plan.rows:
        parts = [_table(plan.rows), _totals(plan), *([_basis(plan)] if plan.rates.used else [])]
    else:
        held = f"{amount(plan.now.bytes)} in {plan.now.files:,} files and folders"
        parts = ["Nothing to do: every result is there and up to date.", f"On disk: {held}."]
    return "\n\n".join([*parts, *(_wrap(f"warning: {text}", "  ") for text in warnings)])


def _table(rows: list[Row]) -> str:
    table = [HEADER, *(_cells(row) for row in rows)]
    table.append(("total", f"{sum(row.jobs for row in rows):,}", "", "", "", ""))
    first = max(len(cells[0]) for cells in table)
    return "\n".join(
        f"{cells[0]:{first}}{cells[1]:>7}  {cells[2]:3}"
        f"{cells[3]:>10}{cells[4]:>11}  {cells[5]}".rstrip()
        for cells in table
    )


def _cells(row: Row) -> tuple[str, ...]:
    one, every = "-", "-"
    if row.seconds:
        one, every = duration(row.typical), duration(sum(row.seconds))
    written = f"{amount(row.bytes):>8}" + (", in turn removed" if row.rule == FRAMES else "")
    return row.rule, f"{row.jobs:,}", DEVICES[row.device], one, every, written


def _totals(plan: Plan) -> str:
    cpu = f"{_hours(plan.cpu_hours)} (short jobs, marked -, left out)"
    lines = [("GPU hours", _hours(plan.gpu_hours)), ("CPU hours", cpu)]
    if plan.frames_at_once:
        how = f"frames of {plan.shards_at_once} of {len(plan.frames_at_once)} shards at once"
        if plan.place.limited_by:
            how += f" ({plan.place.limited_by})"
        lines.append(("temporary disk", f"{amount(plan.temporary)} at most: {how}"))
    held = f"{amount(plan.now.bytes)} now, {amount(plan.peak.bytes)} at the peak"
    lines.append(("disk when done", f"{amount(plan.final.bytes)} ({held})"))
    lines.append(("files when done", f"{plan.final.files:,} with folders ({plan.now.files:,} now)"))
    return "\n".join(_wrap(f"{name:17}{text}", " " * 17) for name, text in lines)


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2f}" if hours else "none"


def _basis(plan: Plan) -> str:
    work = plan.work
    lines = [f"{work.frames:,.0f} frames of {work.clips:,} clips: {work.basis}"]
    for stage, (device, rate) in plan.rates.used.items():
        of = f"{rate.per_second:,.0f} frames/s" if rate.per_second >= 10 else ""
        of = of or f"{rate.per_second:.2g} frames/s"
        lines.append(f"{stage}: {of} on a {DEVICES[device]} ({rate.source})")
    lines.append(f"{START:.0f} s for a job to start; a face in every frame, every epoch trained")
    frame = f"{amount(plan.frame_bytes)} for a frame, " if plan.frames_at_once else ""
    lines.append(f"{frame}{amount(plan.face_bytes)} for a face")
    return "\n".join(["This rests on:", *(_wrap(f"  {line}", "    ") for line in lines)])


def _wrap(text: str, indent: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
