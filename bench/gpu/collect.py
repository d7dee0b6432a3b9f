"""Collect what the run imports and a bare machine with a GPU lacks, as wheels, in parts to carry.

    .venv/bin/python bench/gpu/collect.py [--python 3.12]

Such a machine has torch, torchvision, numpy, numba, h5py, scikit-learn and safetensors, and no
network. The wheels are of the versions and hashes of envs/requirements.lock, and come in
build/wheels/part-1, part-2, ... of at most 60 MiB each. `bootstrap.py` takes them from there.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.markers import Marker

CHECKOUT = Path(__file__).parents[2]
LOCK = CHECKOUT / "envs" / "requirements.lock"
MOST = 60 * 2**20
"""Bytes of a part at most."""

PACKAGES = (
    "attrs",
    "av",
    "certifi",
    "charset-normalizer",
    "facenet-pytorch",
    "idna",
    "imageio",
    "jsonschema",
    "jsonschema-specifications",
    "lazy-loader",
    "opencv-python-headless",
    "packaging",
    "pandas",
    "python-dateutil",
    "pyyaml",
    "referencing",
    "requests",
    "rpds-py",
    "scikit-image",
    "tifffile",
    "tqdm",
    "urllib3",
)
"""What the run imports beyond what such a machine has, as it tells in `packages` of its file."""

THERE = (
    "torch",
    "torchvision",
    "numpy",
    "numba",
    "h5py",
    "scikit-learn",
    "safetensors",
)
"""What such a machine has, with all that these need themselves."""

PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
ENTRY = re.compile(r"^(\S+)==([^\s;]+)(?: ; (.*?))? \\$")


def locked(names: tuple[str, ...], python: str) -> Iterator[str]:
    """Yield the lock's lines for some packages, without markers: those for that Python on Linux.

    Raises
    ------
    SystemExit
        If the lock has none for a package.
    """
    there = {"python_full_version": f"{python}.0", "python_version": python}
    there |= {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
    missing, kept = set(names), False
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        entry = ENTRY.match(line)
        if entry:
            name, version, marker = entry.groups()
            kept = name.lower() in names and (not marker or Marker(marker).evaluate(there))
            if kept:
                missing.discard(name.lower())
                yield f"{name}=={version} \\"
        elif kept:
            yield line
    if missing:
        sys.exit(f"error: {LOCK} has no {', '.join(sorted(missing))} for Python {python}")


def download(python: str, folder: Path) -> list[Path]:
    """Fetch the wheels into a folder."""
    wanted = folder / "wanted.txt"
    wanted.write_text("\n".join(locked(PACKAGES, python)) + "\n", encoding="utf-8")
    platforms = [word for each in PLATFORMS for word in ("--platform", f"{each}_x86_64")]
    how = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version", python]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *how, *platforms]
    subprocess.run([*command, "-r", str(wanted), "-d", str(folder)], check=True)
    return sorted(folder.glob("*.whl"))


def parts(sizes: dict[str, int], most: int = MOST) -> list[list[str]]:
    """Return the names of files in as few parts of at most so many bytes as first fit finds.

    Raises
    ------
    SystemExit
        If one file alone is larger.
    """
    found: list[list[str]] = []
    for name in sorted(sizes, key=lambda own: (-sizes[own], own)):
        if sizes[name] > most:
            sys.exit(f"error: {name} has {sizes[name] / 2**20:.1f} MiB, more than a part may have")
        fits = (part for part in found if sum(map(sizes.get, part)) + sizes[name] <= most)
        part = next(fits, None)
        if part is None:
            part = []
            found.append(part)
        part.append(name)
    return found


def main() -> None:
    """Fetch, sort into parts, and say how they are used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--python", default="3.12", help="that machine's")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "build" / "wheels")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        wheels = {wheel.name: wheel for wheel in download(given.python, Path(top))}
        shutil.rmtree(given.out, ignore_errors=True)
        sizes = {name: wheel.stat().st_size for name, wheel in wheels.items()}
        for number, part in enumerate(parts(sizes), 1):
            folder = given.out / f"part-{number}"
            folder.mkdir(parents=True)
            for name in part:
                shutil.move(wheels[name], folder / name)
            print(f"{folder}: {len(part)} wheels, {sum(map(sizes.get, part)) / 2**20:.1f} MiB")
    print("There, with each part: python3 bench/gpu/bootstrap.py --only-unpack")
    print("and then: python3 bench/gpu/bootstrap.py")


if __name__ == "__main__":
    main()
