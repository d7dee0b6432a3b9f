"""`snakemake download_fec`, against a server on this machine."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from skimage.data import astronaut
from study import CHECKOUT, Study

from affectflow.teacher.fec import read_fec
from affectflow.video import jpeg


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def row(web: str, *names: str) -> str:
    cells = [cell for name in names for cell in (f'"{web}/{name}.jpg"', "0.1", "0.9", "0", "1")]
    return ",".join([*cells, "TWO_CLASS_TRIPLET", "77", "3", "78", "3"]) + "\n"


def test_photos_are_downloaded_when_asked_for_and_only_then(
    web: tuple[Path, str], tmp_path: Path
) -> None:
    files, address = web
    for name in "abc":
        (files / f"{name}.jpg").write_bytes(jpeg.encode(astronaut()[::8, ::8]).tobytes())
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "train.csv").write_text(row(address, *"abc") + row(address, *"abd"))
    study = Study(CHECKOUT, folder, {"teacher": {"fec": {"train": "train.csv", "images": "fec"}}})

    run = study.run("download_fec")

    assert run.code == 0, run.out
    assert run.rules == {"download_fec"}
    report = (folder / "results" / "teacher" / "dead_links.csv").read_text()
    assert report == f"url,status,tries\n{address}/d.jpg,404,1\n"
    triplets, audit = read_fec(folder / "train.csv", folder / "fec")
    assert triplets.odd.tolist() == [2]
    assert [row.status for row in audit] == ["missing_image", "lost_triplet"]
    for path in (folder / "fec").iterdir():
        assert not path.stat().st_mode & 0o077, "photos of people are their downloader's alone"
    assert "Nothing to be done" in study.run("download_fec").out
    own = study.config["teacher"]["fec"]
    agreed = study.with_config(teacher={"fec": {**own, "agreement": 0.66}})
    assert "Nothing to be done" in agreed.run("download_fec").out


def test_a_link_that_may_answer_later_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(row("http://127.0.0.1:9", *"abc"))
    config = {"teacher": {"fec": {"train": "train.csv", "images": "fec"}}}
    run = Study(CHECKOUT, tmp_path, config).run("download_fec")
    assert run.code
    assert "error: fec: not one of 3 images could be had" in run.out
    assert "Traceback" not in run.out


def test_a_misspelt_key_is_told(tmp_path: Path) -> None:
    run = Study(CHECKOUT, tmp_path, {"teacher": {"fec": {"trian": "x.csv"}}}).run("download_fec")
    assert run.code
    assert "unknown key 'teacher.fec.trian'" in run.out
