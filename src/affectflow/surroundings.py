"""What a run's jobs find around them: programs, modules, places to write. Imports nothing heavy."""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

from affectflow.provenance.atomic import why_not_writable

WHOLE = "torch"
"""An environment that has this package has all others too, and needs none from elsewhere."""

TEMPORARY = ("TMPDIR", "TEMP", "TMP")
CACHE = "XDG_CACHE_HOME"


def lead_path(variable: str, folder: Path | str) -> None:
    """Put a folder first in a search path of the environment."""
    rest = [part for part in os.environ.get(variable, "").split(os.pathsep) if part]
    os.environ[variable] = os.pathsep.join([str(folder), *(p for p in rest if p != str(folder))])


def use_own_modules(
    source: str, environment: MutableMapping[str, str] | None = None, packages: str | None = None
) -> None:
    """Have Python find the library in `source`, and all others in the environment it runs in.

    Modules of a cluster (`module load`) put folders of theirs into PYTHONPATH, which Python looks
    through before its own: another numpy there, and jobs end in import errors. Packages of the
    user's home (`pip install --user`) do the same to an environment of conda. Where the environment
    is no whole one, what it lacks is looked for there as before.

    Parameters
    ----------
    source : str
        The folder that holds the library.
    environment : mapping, optional
        What is changed; by default this process's, whose jobs inherit it.
    packages : str, optional
        The folder of the environment's packages; by default of the Python that runs.
    """
    environment = os.environ if environment is None else environment
    packages = packages or sysconfig.get_path("purelib")
    # Draws figures without a screen, whatever a notebook or a desktop asks for.
    environment["MPLBACKEND"] = "Agg"
    environment["HDF5_USE_FILE_LOCKING"] = "FALSE"  # as shards/files.py opens them; this wins
    environment.pop("PYTHONOPTIMIZE", None)  # it leaves out assertions
    rest = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    foreign = [part for part in rest if part != source]
    if (Path(packages) / WHOLE).is_dir():
        environment["PYTHONNOUSERSITE"] = "1"
        environment.pop("PYTHONHOME", None)
        environment["PYTHONPATH"] = source
    else:
        environment["PYTHONPATH"] = os.pathsep.join([source, *foreign])
    # What this process imports from now on.
    sys.path[:] = [part for part in sys.path if part not in foreign] + [
        part for part in foreign if part in sys.path
    ]


def use_writable_places(spare: Path) -> list[str]:
    """Give libraries other places for temporary files and caches where theirs can't be written to.

    Parameters
    ----------
    spare : Path
        A folder that is made, and used, where no other is left.

    Returns
    -------
    list of str
        What a person should know of it.
    """
    try:
        cache = Path(os.environ.get(CACHE) or Path("~/.cache").expanduser())
    except RuntimeError:  # a user without a home, as in containers
        cache = Path("~")
    if why_not_writable(_nearest(cache)):
        os.environ[CACHE] = str(spare / "cache")
    asked = next((os.environ[name] for name in TEMPORARY if os.environ.get(name)), "/tmp")
    why = why_not_writable(Path(asked))
    if why is None:
        return []
    for place in (Path("/tmp"), Path("/var/tmp"), spare / "tmp"):
        if place.is_relative_to(spare):
            with suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
        if why_not_writable(place) is None:
            # Libraries ask for either name.
            os.environ.update(dict.fromkeys(TEMPORARY, str(place)))
            tempfile.tempdir = str(place)
            return [f"{asked} takes no temporary files ({why}): {place} is used instead"]
    return [f"{asked} takes no temporary files ({why}), and neither does any other folder"]


def _nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists: there it would be made.

    A link that leads nowhere is in the way.
    """
    places = (folder, *folder.parents)
    return next((place for place in places if place.exists() or place.is_symlink()), Path.cwd())
