"""Run bench/gpu/run.py on a bare machine: unpack wheels that were carried there, and start it.

    python3 bench/gpu/bootstrap.py --only-unpack       with each part of build/wheels
    python3 bench/gpu/bootstrap.py [ARGUMENTS OF run.py]

It needs Python's own library alone, and no network. What was unpacked stays in build/gpu/packages:
the parts may come one after the other, and need not stay.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = CHECKOUT / "build" / "gpu" / "packages"


def unpack(wheels: Path, target: Path) -> list[str]:
    """Unpack the wheels below a folder that were not unpacked before; return their names.

    A wheel is a zip file of what lies on Python's path. One that is cut, or was carried in part, is
    refused by its checksums.
    """
    done = target / "unpacked"
    before = set(done.read_text().split()) if done.exists() else set()
    new = [wheel for wheel in sorted(wheels.rglob("*.whl")) if wheel.name not in before]
    target.mkdir(parents=True, exist_ok=True)
    for wheel in new:
        with zipfile.ZipFile(wheel) as file:
            file.extractall(target)
        with done.open("a") as names:
            names.write(f"{wheel.name}\n")
    return [wheel.name for wheel in new]


def main() -> None:
    """Unpack and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--wheels", type=Path, default=CHECKOUT / "build" / "wheels")
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="where to unpack them")
    parser.add_argument("--only-unpack", action="store_true")
    given, rest = parser.parse_known_args()
    for name in unpack(given.wheels, given.packages):
        print(f"unpacked {name}", flush=True)
    if given.only_unpack:
        return
    path = [str(given.packages.resolve()), str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
    run = Path(__file__).with_name("run.py")
    done = subprocess.run([sys.executable, str(run), *rest], env=environment, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
