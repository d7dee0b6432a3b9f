"""Where a plan would break a quota, or its jobs are too long or too short, and what to change."""

from __future__ import annotations

import math
from collections.abc import Mapping

from affectflow.planning.estimate import Plan, Row
from affectflow.planning.jobs import EMBED, FACES, FRAMES
from affectflow.planning.rates import START
from affectflow.planning.text import amount, duration

SHORTEST, LONGEST = 600.0, 3600.0
"""Seconds: a shorter job is hardly worth its wait in the queue, a longer one waits longer."""
MOST_SHARDS = 1000


def warnings(plan: Plan, quota: Mapping[str, float | None], free: float) -> list[str]:
    """Return what to think about before this run.

    Parameters
    ----------
    plan : Plan
    quota : mapping
        `quota` of the config: ``gigabytes`` (10^9 bytes) and ``files``, each may be None.
    free : float
        Free bytes of the file system that holds the study.
    """
    found = []
    gigabytes, files = quota.get("gigabytes"), quota.get("files")
    if gigabytes is not None and plan.peak.bytes > gigabytes * 1e9:
        where = f"quota.gigabytes is {gigabytes:g}, and"
        found.append(_disk(plan, where, gigabytes * 1e9))
    if plan.peak.bytes - plan.now.bytes > free:
        where = f"{amount(free)} are free on this file system, and"
        found.append(_disk(plan, where, free + plan.now.bytes))
    if files is not None and plan.peak.files > files:
        found.append(
            f"quota.files is {files:,}, and this study will have {plan.peak.files:,} files and "
            "folders. Lower shards (each has a file, a log and a record per stage), or choose "
            "another folder (--directory)."
        )
    if plan.place.cluster:
        found += [*_length(plan), *_runtime(plan)]
    return found


def _disk(plan: Plan, where: str, room: float) -> str:
    if plan.final.bytes > room:
        return (
            f"{where} the results alone come to {amount(plan.final.bytes)}. Lower "
            "frames.per_clip (or fps), or choose another folder (--directory)."
        )
    fit, left = 0, room - plan.final.bytes
    for size in plan.frames_at_once:
        left -= size
        if left < 0:
            break
        fit += 1
    fewer = f"keep fewer shards of frames at once (--resources frames_on_disk={fit}), " * (fit > 0)
    smaller = "" if fit or FACES not in plan.fresh else "raise shards, "
    return (
        f"{where} the disk will hold {amount(plan.peak.bytes)} at the peak, "
        f"{amount(plan.temporary)} of it temporary frames. To go below, {fewer}{smaller}lower "
        "frames.jpeg_quality or frames.per_clip (or fps), or choose another folder (--directory)."
    )


def _length(plan: Plan) -> list[str]:
    found = []
    for rule, advise in ((FACES, _shards), (EMBED, _shards_per_embedding)):
        row = plan.row(rule)
        # Another size of jobs makes everything anew.
        if row is None or rule not in plan.fresh or SHORTEST <= row.typical <= LONGEST:
            continue
        if advice := advise(plan, row):
            found.append(
                f"a typical job of {rule} takes {duration(row.typical)}; "
                f"10 to 60 minutes suit a queue. {advice}"
            )
    return found


def _shards(_plan: Plan, row: Row) -> str:
    work = sum(row.seconds) - row.jobs * START
    most = min(math.floor(work / (SHORTEST - START)), MOST_SHARDS)
    least = min(math.ceil(work / (LONGEST - START)), MOST_SHARDS)
    if row.typical < SHORTEST and most < 2:
        return ""  # a small study: nothing to gain
    choice = f"{least} to {most}" if least < most else f"{most}"
    return f"shards: {choice} would do that. Fewer shards are larger: more temporary disk each."


def _shards_per_embedding(plan: Plan, row: Row) -> str:
    shards = len(plan.work.shards)
    backbones = row.jobs / math.ceil(shards / plan.shards_per_embedding)
    work = (sum(row.seconds) - row.jobs * START) / backbones
    mean = {each: work / math.ceil(shards / each) + START for each in range(1, shards + 1)}
    if mean[1] > LONGEST:
        return "Raise shards."
    fit = [each for each, seconds in mean.items() if SHORTEST <= seconds <= LONGEST]
    if not fit:
        return ""  # a small study: nothing to gain
    choice = f"{fit[0]} to {fit[-1]}" if len(fit) > 1 else f"{fit[0]}"
    return f"shards_per_embedding: {choice} would do that."


def _runtime(plan: Plan) -> list[str]:
    found = []
    for row in plan.rows:
        asked = plan.place.runtimes.get(row.rule)
        if asked is not None and row.longest > asked * 60:
            need = math.ceil(row.longest / 60 * 1.5)
            found.append(
                f"the longest job of {row.rule} may take {duration(row.longest)}, and asks for "
                f"{duration(asked * 60)}. Ask for more (`runtime: {need}` for {row.rule} under "
                "set-resources in the profile)"
                + (", or raise shards." if row.rule in (FRAMES, FACES, EMBED) else ".")
            )
    return found
