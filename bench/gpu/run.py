"""All that is to be known of affectflow on a GPU, in one run: is it right, and how fast is it?

    make gpu                                  on this machine's GPU, at most 8 minutes
    .venv/bin/python bench/gpu/run.py --device cpu --small

Sections run one after the other, the most important first, each for so long at most; what a
section says is in the file at once. A section that fails is noted, and the next one begins. Given
again, the same command does what is not done yet.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from ledger import DONE, FAILED, Ledger, OthersError
from table import table, wrong
from worker import Worker


class Section(NamedTuple):
    """What is run, for how many seconds at most, and what it is about."""

    where: str
    seconds: float
    about: str


SECTIONS = {
    "machine": Section("machine:machine", 30, "what it runs on; torch is loaded"),
    "clips": Section("machine:clips", 30, "clips are generated, and a CPU finds their faces"),
    "faces": Section("checks:faces", 40, "boxes, landmarks and coverage against a CPU's"),
    "embeddings": Section("checks:embeddings", 40, "embeddings in each precision against a CPU's"),
    "steps": Section("checks:steps", 50, "a step of training against a CPU's"),
    "pixels": Section("checks:pixels", 10, "nvJPEG's pixels against libjpeg's"),
    "whole": Section("rates:whole", 100, "from videos to embeddings"),
    "detect": Section("rates:detect", 45, "detection and crops"),
    "embed": Section("rates:embed", 60, "embedding"),
    "decode": Section("rates:decode", 35, "decoding"),
    "train": Section("rates:train", 30, "training"),
    "learnt": Section("learnt:learnt", 60, "a network trained on the device, against a CPU's"),
}


def main() -> None:
    """Run the sections that are not done, print the table; the exit code says if all is well."""
    given = arguments()
    out = Path(given.out)
    how = {"device": given.device, "small": given.small, "clips": given.clips, "cores": given.cores}
    try:
        ledger = Ledger(out / "gpu.json", how, given.again)
    except OthersError as error:
        sys.exit(f"error: {error}\nGive another --out, or --again to begin anew.")
    deadline = time.monotonic() + given.minutes * 60
    worker = Worker(how | {"folder": str(out / "material")})
    try:
        for name in given.sections or SECTIONS:
            left = deadline - time.monotonic()
            # A small run is to end, also on a machine that is busy with other things.
            most = left if given.small else min(SECTIONS[name].seconds, left)
            run(name, worker, ledger, most)
    finally:
        worker.stop()
    text = table(ledger.content)
    (out / "gpu.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\nAll of it: {ledger.path}")
    sys.exit(1 if wrong(ledger.content) else 0)


def run(name: str, worker: Worker, ledger: Ledger, most: float) -> None:
    """Run one section for so many seconds at most, unless it is done or no time is left."""
    section = SECTIONS[name]
    if ledger.state(name) == DONE:
        print(f"{name}: done before", flush=True)
        return
    if most <= 0:
        print(f"{name}: no time is left", flush=True)
        return
    print(f"{name}: {section.about}", flush=True)
    began = time.monotonic()
    ledger.begin(name)
    rows = 0
    for kind, *said in worker.run(section.where, most):
        if kind == "row":
            ledger.add(name, said[0])
            rows += 1
            continue
        error, packages = said
        seconds = time.monotonic() - began
        state = FAILED if kind == DONE and _has_errors(ledger, name) else kind
        ledger.end(name, state, seconds, packages, error)
        how = f"{state}: {error.strip().splitlines()[-1]}" if error else state
        print(f"{name}: {how}; {rows} rows in {seconds:.1f} s", flush=True)


def _has_errors(ledger: Ledger, name: str) -> bool:
    return any("error" in row for row in ledger.content["sections"][name]["rows"])


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu", "mps"))
    parser.add_argument("--small", action="store_true", help="to see that it runs: a minute")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all of it, at most")
    parser.add_argument("--out", default="build/gpu", help="folder of the results")
    parser.add_argument("--clips", help="a folder of videos to take in place of generated ones")
    parser.add_argument(
        "--cores", type=int, default=len(os.sched_getaffinity(0)), help="to be used, at most"
    )
    parser.add_argument("--again", action="store_true", help="do all of it, done before or not")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    given = parser.parse_args()
    unknown = set(given.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}; {', '.join(SECTIONS)}")
    if given.clips:
        given.clips = str(Path(given.clips).resolve())
    return given


if __name__ == "__main__":
    main()
