import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from affectflow.errors import UserError
from affectflow.provenance import code
from affectflow.provenance.atomic import atomic, sweep, write_text
from affectflow.provenance.code import code_digest


def test_atomic_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with atomic(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "half"
    assert list(target.parent.iterdir()) == [target]


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic(target) as temporary:
        temporary.write_text("new")
        raise RuntimeError("killed")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with atomic(target) as first, atomic(target) as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert target.read_text() == "1"


def test_a_sweep_removes_what_was_left_on_other_machines(tmp_path: Path) -> None:
    for name in (".a.h5.node7.1234.99.0123abcd.tmp", ".b.csv.n-1.uni.local.7.ffffffff.tmp"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / name).touch()
    kept = {".hidden.tmp", "a.h5", ".a.h5.swp"}
    for name in kept:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == kept
    with atomic(tmp_path / "c.h5") as temporary:
        sweep(tmp_path)
        assert not temporary.exists(), "its own names are what is swept"
        temporary.touch()


def test_a_sweep_spares_a_folder_in_which_somebody_writes(tmp_path: Path) -> None:
    left, writing = (tmp_path / name / ".a.h5.node7.12.99.0123abcd.tmp" for name in ("one", "two"))
    for path in (left, writing):
        path.parent.mkdir()
        path.touch()
    sweep(tmp_path, spare=tmp_path / "two")
    assert writing.exists() and not left.exists()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No space left on device"), atomic(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(UserError, match="quota"), atomic(tmp_path / "a"):
        raise RuntimeError(f"file write failed: error message = '{os.strerror(errno.EDQUOT)}'")
    with pytest.raises(OSError, match="other"), atomic(tmp_path / "a"):
        raise OSError("some other")


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    program = (
        "import os, sys; from affectflow.provenance.atomic import atomic\n"
        "with atomic(sys.argv[1]): os.kill(os.getpid(), 9)"
    )
    code = subprocess.run([sys.executable, "-c", program, target], check=False).returncode
    assert code == -9 and len(list(tmp_path.iterdir())) == 1
    with atomic(target) as mine, atomic(target):
        assert mine.exists(), "a living writer's file is left alone"
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match="results"), atomic(tmp_path / "results" / "x"):
        pass


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package: script -> faces -> video; training apart."""
    package = tmp_path / "affectflow"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "video.py").write_text("def decode():\n    return 1\n")
    (package / "faces.py").write_text("from affectflow.video import decode\n")
    (package / "training.py").write_text("def fit():\n    return 1\n")
    (tmp_path / "script.py").write_text("def main():\n    from affectflow import faces\n")
    monkeypatch.setattr(code, "SOURCE", tmp_path)
    return tmp_path


def digest_after(edit: Path, text: str, script: Path) -> str:
    edit.write_text(text)
    code._parse.cache_clear()
    return code_digest(script)


def test_digest_sees_an_import_of_an_import(library: Path) -> None:
    script = library / "script.py"
    before = code_digest(script)
    video = library / "affectflow" / "video.py"
    assert digest_after(video, "def decode():\n    return 2\n", script) != before


def test_digest_ignores_comments_docstrings_and_layout(library: Path) -> None:
    script = library / "script.py"
    before = code_digest(script)
    video = library / "affectflow" / "video.py"
    text = '"""A module."""\n\ndef decode( ):\n    """Decode."""\n    return (1)  # one\n'
    assert digest_after(video, text, script) == before


def test_digest_ignores_other_stages(library: Path) -> None:
    script = library / "script.py"
    before = code_digest(script)
    other = library / "affectflow" / "training.py"
    assert digest_after(other, "def fit():\n    return 2\n", script) == before


def test_digest_of_a_module_loaded_by_name(library: Path) -> None:
    script = library / "script.py"
    with_training = code_digest(script, "affectflow.training")
    assert with_training != code_digest(script)
    (library / "affectflow" / "training.py").write_text("def fit():\n    return 3\n")
    code._parse.cache_clear()
    assert code_digest(script, "affectflow.training") != with_training


def test_real_stages_are_apart() -> None:
    """Editing training must not rerun face detection, nor the other way round."""
    scripts = Path(__file__).parents[2] / "workflow" / "scripts"

    def files(name: str) -> set[str]:
        todo, seen = [scripts / name], set()
        while todo:
            file = todo.pop()
            if file not in seen:
                seen.add(file)
                todo.extend(code._parse(file)[1])
        return {str(file) for file in seen}

    faces, train = files("detect_faces.py"), files("train.py")
    assert not any("/training/" in f or "/temporal/" in f or "/evaluation/" in f for f in faces)
    assert not any("/faces/" in f or "/video/" in f or "/backbones/" in f for f in train)
