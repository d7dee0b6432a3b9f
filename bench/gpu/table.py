"""A run as text for docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CHECKS = ("faces", "embeddings", "steps", "pixels", "learnt")
RATES = ("whole", "decode", "detect", "embed", "train")
RATE = ("frames_per_s", "faces_per_s")
BUSY = 0.8
"""Share of the time from which on a device, or the cores, are what a stage waits for."""

DAISEE = 9068 * 300
"""Frames of all its clips."""

SETTINGS = ("part", "trained", "backbone", "precision", "every", "min_size", "pictures")
SETTINGS += ("batch", "threads", "processes")
Row = dict[str, Any]


def wrong(content: Row) -> list[str]:
    """Return what failed, or is not what a CPU gives."""
    found = []
    for name, section in content["sections"].items():
        if section["state"] == "failed":
            found.append(f"{name}: failed")
        found += [f"{name}: {_setting(row)}" for row in section["rows"] if row.get("ok") is False]
    return found


def table(content: Row) -> str:
    """Return Markdown: the machine, checks, rates, and what DAiSEE would take."""
    sections = content["sections"]
    return "\n".join(
        line
        for part in (_machine(sections), _checks(sections), _rates(sections), _hours(sections))
        for line in [*part, ""]
    )


def _machine(sections: Row) -> Iterator[str]:
    for row in _rows(sections, "machine"):
        told = [str(row["device"]), f"{row['cores']} cores", f"Python {row['python']}"]
        told += [f"torch {row['torch']}"]
        told += [f"{name} {row[name]}" for name in ("cuda", "cudnn") if row.get(name)]
        yield ", ".join(told)
    for name, section in sections.items():
        if section["state"] != "done":
            why = str(section.get("error", "")).strip().splitlines()
            yield f"- **{name}**: {section['state']}{': ' + why[-1] if why else ''}"


def _checks(sections: Row) -> Iterator[str]:
    yield "| compared with a CPU | seen | bound | within |"
    yield "|---|---|---|---|"
    for name in CHECKS:
        for row in _rows(sections, name):
            if "error" in row:
                yield f"| {name}: {_setting(row)} | {row['error']} | | **failed** |"
                continue
            within = "yes" if row["ok"] else "**no**"
            yield f"| {name}: {_setting(row)} | {_seen(row)} | {row['bound']} | {within} |"


def _seen(row: Row) -> str:
    left_out = {*SETTINGS, "ok", "bound", "frames", "crops", "files", "loss", "loss_cpu"}
    named = ((key, value) for key, value in row.items() if key not in left_out)
    return ", ".join(f"{key} {_number(value)}" for key, value in named if value not in ("", None))


def _rates(sections: Row) -> Iterator[str]:
    cores = max((row["cores"] for row in _rows(sections, "machine")), default=None)
    heads = "stage", "setting", "per second", "GPU busy", "by our clock", "cores", "GPU memory"
    yield f"| {' | '.join(heads)} | waits for |"
    yield "|---" * (len(heads) + 1) + "|"
    for name in RATES:
        rows = _rows(sections, name)
        best = {id(row) for row in _best(rows)}
        for row in rows:
            if "error" in row:
                yield f"| {name} | {_setting(row)} | {row['error']} | | | | | **failed** |"
                continue
            rate = next(f"{row[key]:,.0f} {key.split('_')[0]}" for key in RATE if key in row)
            memory = f"{row['gpu_mib']:,.0f} MiB" if row.get("gpu_mib") else ""
            yield (
                f"| {name} | {_setting(row)} | {f'**{rate}**' if id(row) in best else rate} "
                f"| {_share(row.get('gpu_busy'))} | {_share(_device(row))} "
                f"| {row.get('cores_busy', 0):.1f} | {memory} | {waits_for(row, cores)} |"
            )


def waits_for(row: Row, cores: int | None) -> str:
    """Return what was busy all the time, if anything was."""
    shares = [row.get("gpu_busy"), _device(row)]
    if max((share for share in shares if share is not None), default=0) >= BUSY:
        return "device"
    used = row.get("cores_busy", 0)
    if cores and used >= BUSY * cores:
        return "cores"
    own = row.get("threads")
    if used >= BUSY * max(own or 1, 1) * row.get("processes", 1):
        return "its threads"
    return "hand-overs"


def _device(row: Row) -> float | None:
    """Return the share by the library's clock; of the whole way, the two stages' together."""
    if "device_busy" in row:
        return row["device_busy"]
    if "detect_device_busy" not in row:
        return None
    rates = {name: 1 / row[f"{name}_frames_per_s"] for name in ("detect", "embed")}
    busy = sum(row[f"{name}_device_busy"] * each for name, each in rates.items())
    return busy / sum(rates.values())


def _hours(sections: Row) -> Iterator[str]:
    """What all of DAiSEE takes at the best rates: one detection, and each backbone's embedding."""
    way = [row for row in _rows(sections, "whole") if "detect_frames_per_s" in row]
    files = [row for row in _rows(sections, "embed") if row.get("part") == "files"]
    best: dict[str, Row] = {}
    for row in files:
        kept = best.get(row["backbone"])
        if "faces_per_s" in row and (not kept or row["faces_per_s"] > kept["faces_per_s"]):
            best[row["backbone"]] = row
    if not way or not best:
        yield "Hours for DAiSEE: not known, as `whole` or `embed` is missing."
        return
    detection = max(way, key=lambda row: row["detect_frames_per_s"])
    share = detection["faces"] / max(detection["frames"], 1)
    hours = {"decoding and detection": DAISEE / detection["detect_frames_per_s"] / 3600}
    for name, row in best.items():
        hours[name] = DAISEE * share / row["faces_per_s"] / 3600
    parts = ", ".join(f"{name} {each:.2f}" for name, each in hours.items())
    yield f"Hours for DAiSEE (9,068 clips of 300 frames): {sum(hours.values()):.2f} ({parts})."
    fastest = max(row["frames_per_s"] for row in _rows(sections, "whole") if "frames_per_s" in row)
    yield f"From videos to embeddings of one backbone: {fastest:,.0f} frames/s; 5,000 are aimed at."


def _best(rows: list[Row]) -> list[Row]:
    """Return the quickest row of each kind: of one part, network and precision."""
    kinds: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        rate = next((row[key] for key in RATE if row.get(key)), None)
        kind = tuple(row.get(key) for key in SETTINGS[:4])
        if rate and (kind not in kinds or rate > kinds[kind]["rate"]):
            kinds[kind] = {"rate": rate, "row": row}
    return [each["row"] for each in kinds.values()]


def _rows(sections: Row, name: str) -> list[Row]:
    return sections.get(name, {}).get("rows", [])


def _setting(row: Row) -> str:
    return ", ".join(
        f"{row[key]}" if key in SETTINGS[:4] or key == "pictures" else f"{key} {row[key]}"
        for key in SETTINGS
        if key in row
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
