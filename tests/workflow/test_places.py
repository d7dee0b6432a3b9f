"""Places that are written to and are full, read-only or gone; and what else a site may bring."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import odd_disk
import pytest
from needs import lacking
from study import SMALL, Run, Study, copy_checkout, finish

KINDS = {
    "full": 'mount -t tmpfs -o size=64k tmpfs "$PLACE" && ! head -c 1M /dev/zero 2>&- > "$PLACE/x"',
    "read-only": 'mount --bind "$PLACE" "$PLACE" && mount -o remount,ro,bind "$PLACE"',
    "gone": 'rmdir "$PLACE" && ln -s /nowhere/at/all "$PLACE"',
}


@pytest.fixture
def study(small_corpus: Path, tmp_path: Path) -> Study:
    folder = tmp_path / "folder"
    folder.mkdir()
    config = {**SMALL, "dataset": {"root": str(small_corpus)}}
    return Study(copy_checkout(tmp_path / "checkout"), folder, config)


def spoil(kind: str, place: Path, command: list[str], **environment: str) -> Run:
    """Run a command that finds a place full, read-only or gone, and nobody else does."""
    apart = ["unshare", "--mount"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        lacking("no disks can be mounted here")
    given = [f"{name}={value}" for name, value in environment.items()]
    script = f'{KINDS[kind]}; exec env "$@"'
    return finish(["env", f"PLACE={place}", *apart, "sh", "-c", script, "sh", *given, *command])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME"])
def test_a_plan_needs_no_home(study: Study, tmp_path: Path, kind: str, variable: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    command = study.command("--dry-run" if variable == "HOME" else "plan")
    run = spoil(kind, place, command, **{variable: str(place)})
    assert run.code == 0, run.out
    assert "Traceback" not in run.out


@pytest.mark.parametrize("kind", KINDS)
def test_temporary_files_go_where_they_can(study: Study, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    command = study.command("results/dataset/clips.csv")
    run = spoil(kind, place, command, TMPDIR=str(place))
    assert run.code == 0, run.out
    assert run.out.count(f"warning: {place} takes no temporary files (") == 1
    assert "Traceback" not in run.out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["results", "logs", ".snakemake"])
def test_a_folder_of_the_study_is_told_at_the_start(study: Study, kind: str, part: str) -> None:
    place = study.folder / part
    place.mkdir()
    for arguments in (["--dry-run"], []):
        run = spoil(kind, place, study.command(*arguments))
        assert run.code == 1, run.out
        why = "leads to /nowhere/at/all, which is not there" if kind == "gone" else "cannot be"
        assert f"{place}: {why}" in run.out
        assert "Traceback" not in run.out
        if kind == "gone":
            place.unlink()
            place.mkdir()


def test_nobody_can_be_kept_out(study: Study, tmp_path: Path) -> None:
    library = odd_disk.build(tmp_path)
    odd = [f"{k}={v}" for k, v in odd_disk.environment(library, "chmod-forgotten").items()]
    (study.folder / "results").mkdir(mode=0o755)
    command = ["env", *odd, *study.command("results/dataset/clips.csv")]
    run = finish(command)
    assert run.code == 1
    assert f"others can't be kept out of {study.folder}/results (mode 0755)" in run.out
    assert "private: preferred" in run.out
    assert "Traceback" not in run.out
    assert not list((study.folder / "results").iterdir())
    allowed = study.with_config(private="preferred")
    run = finish(["env", *odd, *allowed.command("results/dataset/clips.csv")])
    assert run.code == 0, run.out
    assert run.out.count("others can't be kept out") == 1


def foreign_packages(folder: Path) -> Path:
    """What a loaded module puts into PYTHONPATH: packages for another Python."""
    for name in ("torch", "h5py", "cv2"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise ImportError('another {name}')\n")
    return folder


def test_a_whole_run_where_nothing_is_as_it_should_be(finished: Study, tmp_path: Path) -> None:
    """No locks, modes, fsync or fallocate; HOME read-only; TMPDIR gone; a module's packages."""
    study = finished.anew(tmp_path / "folder").with_config(private="preferred")
    study = Study(copy_checkout(tmp_path / "checkout"), study.folder, study.config)
    home, modules = tmp_path / "home", foreign_packages(tmp_path / "module")
    home.mkdir()
    site = odd_disk.environment(odd_disk.build(tmp_path), odd_disk.EVERYTHING)
    site |= {"HOME": str(home), "TMPDIR": "/nowhere", "PYTHONPATH": str(modules)}
    site |= {"MPLBACKEND": "module://of.a.notebook", "PYTHONOPTIMIZE": "1", "XDG_CACHE_HOME": ""}
    run = spoil("read-only", home, study.command(), **site)
    assert run.code == 0, run.out
    assert study.predictions() == finished.predictions()


def test_packages_of_the_environment_come_first(tmp_path: Path) -> None:
    """By a file that `make` puts among them: Snakemake needs pandas before it reads ours."""
    subprocess.run(["python3", "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    where = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    packages = Path(where.stdout.strip())
    (packages / "pandas.py").write_text("mine = True\n")
    modules = tmp_path / "module"
    modules.mkdir()
    (modules / "pandas.py").write_text("mine = False\n")
    (modules / "other.py").write_text("mine = False\n")
    code = "import pandas, other, affectflow; print(pandas.mine, affectflow.__file__)"
    environment = os.environ | {"PYTHONPATH": f"{modules}{os.pathsep}{tmp_path / 'src'}"}
    # The library of a checkout leads nevertheless: jobs run that one.
    for folder in (tmp_path / "src", packages):
        (folder / "affectflow").mkdir(parents=True)
        (folder / "affectflow" / "__init__.py").touch()
    shadowed = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True)
    assert shadowed.stdout.startswith("False")
    first = Path(__file__).parents[2] / "envs" / "own_modules_first.pth"
    shutil.copy(first, packages / "zz_own.pth")
    done = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["True", str(tmp_path / "src" / "affectflow" / "__init__.py")]
    assert done.stderr == ""
