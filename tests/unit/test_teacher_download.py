import csv
import itertools
import socket
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from affectflow.errors import UserError
from affectflow.teacher import download as module
from affectflow.teacher.download import (
    AGENT,
    DEAD_FILE,
    INCOMING,
    Manners,
    download,
    download_fec,
    read_dead,
    retry_after,
)
from affectflow.teacher.fec import read_fec
from affectflow.teacher.urls import image_name
from affectflow.video import jpeg

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
FACE = jpeg.encode(astronaut()[::8, ::8]).tobytes()
HASTY = Manners(delay=0, timeout=0.5, patience=2, tries=3, backoff=0.01, longest_wait=3)

Answer = Callable[[Any], None]


class Host:
    """A web server on this machine that answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, float]] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.busy = self.most = 0
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with host.lock:
                    host.asked.append((self.path, time.monotonic()))
                    host.headers.append(dict(self.headers))
                    host.busy, self.ended = host.busy + 1, False
                    host.most = max(host.most, host.busy)
                    queue = host.answers.get(self.path, [image])
                    answer = queue.pop(0) if len(queue) > 1 else queue[0]
                try:
                    answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                finally:
                    self.end()

            def end_headers(self) -> None:
                # Before they are sent: who has the answer may ask again at once.
                self.end()
                super().end_headers()

            def end(self) -> None:
                with host.lock:
                    host.busy -= not self.ended
                    self.ended = True

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def at(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return self.url + path

    def count(self, path: str) -> int:
        return Counter(path for path, _ in self.asked)[path]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def send(
    handler: Any,
    status: int = 200,
    body: bytes = FACE,
    kind: str = "image/jpeg",
    length: int | None = None,
    **headers: str,
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def answer(status: int = 200, body: bytes = FACE, **more: Any) -> Answer:
    return lambda handler: send(handler, status, body, **more)


def redirect(to: str, status: int = 302) -> Answer:
    return answer(status, b"", Location=to)


def slow(seconds: float) -> Answer:
    def wait(handler: Any) -> None:
        time.sleep(seconds)
        send(handler)

    return wait


def drip(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "image/jpeg")
    handler.end_headers()
    for byte in FACE:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def chunks_cut_off(handler: Any) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Content-Type", "image/jpeg")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"1000\r\n" + FACE[:100])
    handler.close_connection = True


image = answer()
html = answer(200, b"<html>Please sign in</html>", kind="text/html; charset=utf-8")


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


class Place:
    def __init__(self, folder: Path) -> None:
        self.images, self.dead = folder / "images", folder / "dead.csv"

    def get(self, *urls: str, manners: Manners = HASTY, **options: Any) -> dict[str, int]:
        return download(urls, self.images, self.dead, manners, **options)

    def names(self) -> set[str]:
        return {path.name for path in self.images.iterdir()} if self.images.is_dir() else set()

    def rows(self) -> dict[str, tuple[str, str]]:
        with self.dead.open() as file:
            return {row["url"]: (row["status"], row["tries"]) for row in csv.DictReader(file)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_images_are_kept_under_their_names(host: Host, place: Place) -> None:
    urls = [f"{host.url}/{i}.jpg" for i in range(5)]
    assert place.get(*urls, urls[0]) == {"downloaded": 5, "present": 0, "dead": 0, "passing": 0}
    assert place.names() == {image_name(url) for url in urls}
    path = place.images / image_name(urls[0])
    assert path.read_bytes() == FACE
    assert not stat.S_IMODE(path.stat().st_mode) & 0o007
    assert place.rows() == {}
    assert len(host.asked) == 5
    assert {headers["User-Agent"] for headers in host.headers} == {AGENT}
    assert "affectflow" in AGENT


def test_resumes_and_mends(host: Host, place: Place) -> None:
    urls = [f"{host.url}/{i}.jpg" for i in range(4)]
    place.get(*urls[:2])
    broken = place.images / image_name(urls[0])
    broken.write_bytes(FACE[:-300])
    (place.images / "3.jpg").write_bytes(FACE)  # another tool's
    host.asked.clear()
    assert place.get(*urls) == {"downloaded": 2, "present": 2, "dead": 0, "passing": 0}
    assert sorted(path for path, _ in host.asked) == ["/0.jpg", "/2.jpg"]
    assert broken.read_bytes() == FACE
    host.asked.clear()
    assert place.get(*urls)["present"] == 4
    assert host.asked == []


DEAD = {
    "404": (answer(404, b""), "404"),
    "410": (answer(410, b""), "410"),
    "403": (answer(403, b"no"), "403"),
    "a page": (html, "no image: text/html"),
    "a page called an image": (answer(body=b"<html></html>"), "no image: is no image"),
    "nothing": (answer(body=b""), "no image: is no image"),
    "cut off at its source": (answer(body=FACE[:-300]), "no image: image file is truncated"),
    "announced too large": (answer(length=10**9), "too large: 1000000000 bytes"),
    "to a file": (redirect("file:///etc/passwd"), "refused: file address"),
    "to ftp": (redirect("ftp://127.0.0.1/a.jpg"), "refused: ftp address"),
    "to data": (redirect("data:image/png;base64,AA"), "refused: data address"),
    "to nowhere": (answer(302, b""), "302 to nowhere"),
    "to another's password": (redirect("http://a:b@127.0.0.1/"), "refused: no plain address"),
    "round and round": (redirect("/x.jpg"), "too many redirects"),
    "to a stand-in": (redirect("/images/photo_unavailable.png"), "stand-in"),
}


@pytest.mark.parametrize("name", DEAD)
def test_dead_links_are_told_and_not_asked_again(host: Host, place: Place, name: str) -> None:
    reply, status = DEAD[name]
    url = host.at("/x.jpg", reply)
    other = f"{host.url}/other.jpg"
    assert place.get(url, other) == {"downloaded": 1, "present": 0, "dead": 1, "passing": 0}
    assert place.rows()[url][0].startswith(status)
    assert place.rows()[url][1] == "1"
    assert place.names() == {image_name(other)}
    asked = len(host.asked)
    assert place.get(url, other) == {"downloaded": 0, "present": 1, "dead": 1, "passing": 0}
    assert len(host.asked) == asked
    host.at("/x.jpg", image)
    assert place.get(url, retry_dead=True)["downloaded"] == 1
    assert place.rows() == {}


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.jpg",
        "/etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http://[::1/a.jpg",
        "http://127.0.0.1:99999/a.jpg",
        "http://user:word@127.0.0.1/a.jpg",
        "http://h\u00e4st.example/a.jpg",
        "",
    ],
)
def test_what_is_no_address_of_the_web_is_refused(place: Place, url: str) -> None:
    assert place.get(url)["dead"] == 1
    assert next(iter(place.rows().values()))[0].startswith("refused")


PASSING = {
    "500": (answer(500, b""), "500?"),
    "sign in to the network": (answer(511, b""), "511?"),
    "sign in to the proxy": (answer(407, b""), "407?"),
    "timeout": (slow(1.2), "timeout?"),
    "cut off": (answer(body=FACE[:500], length=len(FACE)), "cut off?"),
    "chunks cut off": (chunks_cut_off, "IncompleteRead"),
    "too slow": (drip, "too slow?"),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_tried_again(host: Host, place: Place, name: str) -> None:
    reply, status = PASSING[name]
    url = host.at("/x.jpg", reply, image)
    manners = Manners(delay=0, timeout=0.5, patience=0.5, tries=2, backoff=0.01)
    assert place.get(url, manners=manners)["downloaded"] == 1
    assert host.count("/x.jpg") == 2
    url = host.at("/y.jpg", reply)
    assert place.get(url, manners=manners) == {
        "downloaded": 0,
        "present": 0,
        "dead": 0,
        "passing": 1,
    }
    assert place.rows()[url][0].startswith(status)
    assert place.rows()[url][1] == "2"


def test_what_never_passes_is_dead_after_three_runs(host: Host, place: Place) -> None:
    url = host.at("/x.jpg", answer(500, b""))
    runs = [place.get(url) for _ in range(5)]
    assert [run["passing"] for run in runs] == [1, 1, 0, 0, 0]
    assert [run["dead"] for run in runs] == [0, 0, 1, 1, 1]
    assert host.count("/x.jpg") == 9
    assert place.rows()[url] == ("500?", "9")


def test_nobody_answers(place: Place) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a.jpg"
        assert place.get(url)["passing"] == 1
    assert "refused" in place.rows()[url][0]


@pytest.mark.parametrize("as_date", [False, True])
def test_a_host_that_asks_for_patience_gets_it(host: Host, place: Place, as_date: bool) -> None:
    """Also for its other images, and whatever `backoff` is."""
    # A date has no parts of a second.
    after = formatdate(time.time() + 3, usegmt=True) if as_date else "1"
    urls = [host.at("/0.jpg", answer(429, b"", Retry_After=after), image)]
    urls += [f"{host.url}/{i}.jpg" for i in range(1, 4)]
    manners = Manners(delay=0, per_host=1, backoff=0.01, workers=2)
    assert place.get(*urls, manners=manners)["downloaded"] == 4
    first = next(at for path, at in host.asked if path == "/0.jpg")
    later = [at - first for _, at in host.asked if at > first]
    assert len(later) >= 3
    assert min(later) > 0.9


def test_a_host_that_asks_for_hours_is_left_for_another_run(host: Host, place: Place) -> None:
    url = host.at("/x.jpg", answer(503, b"", Retry_After="7200"))
    began = time.monotonic()
    assert place.get(url)["passing"] == 1
    assert time.monotonic() - began < 2
    assert host.count("/x.jpg") == 1
    assert place.rows()[url] == ("503?", "1")


def test_a_host_that_asks_for_hours_is_asked_for_nothing_else(host: Host, place: Place) -> None:
    """Nor do its addresses keep others waiting, or count as tried."""
    other = Host()
    try:
        urls = [host.at("/0.jpg", answer(503, b"", Retry_After="7200"))]
        urls += [f"{host.url}/{i}.jpg" for i in range(1, 5)]
        elsewhere = f"{other.url}/a.jpg"
        manners = Manners(delay=0, workers=1, backoff=0.01)
        began = time.monotonic()
        counts = place.get(*urls, elsewhere, manners=manners)
        assert time.monotonic() - began < 5
        assert counts == {"downloaded": 1, "present": 0, "dead": 0, "passing": 5}
        assert [path for path, _ in host.asked] == ["/0.jpg"]
        assert place.rows()[urls[0]] == ("503?", "1")
        left = ("not asked: its host asks for a longer pause?", "0")
        assert [place.rows()[url] for url in urls[1:]] == [left] * 4
    finally:
        other.close()
    host.at("/0.jpg", image)
    assert place.get(*urls)["downloaded"] == 5, "another run asks"


def test_a_pause_longer_than_a_wait_is_kept(host: Host, place: Place) -> None:
    urls = [host.at("/0.jpg", answer(503, b"", Retry_After="2"), image), f"{host.url}/1.jpg"]
    manners = Manners(delay=0, workers=1, longest_wait=0.2, backoff=0.01)
    assert place.get(*urls, manners=manners)["passing"] == 2
    assert len(host.asked) == 1


@pytest.mark.parametrize("reply", [answer(500, b""), html, answer(404, b"")])
def test_a_machine_without_the_web_stops_early(host: Host, place: Place, reply: Answer) -> None:
    urls = [host.at(f"/{i}.jpg", reply) for i in range(200)]
    place.dead.write_text(f"url,status,tries\n{urls[0]},500?,3\n")
    manners = Manners(delay=0, backoff=0, tries=1, trial=20, refusals=0)
    with pytest.raises(UserError, match=r"not one of the first \d\d links gave an image") as caught:
        place.get(*urls, manners=manners)
    assert "reaches the web" in caught.value.remedy
    assert len(host.asked) < 60
    assert place.rows() == {urls[0]: ("500?", "3")}, "nothing is counted"
    for url in urls:
        host.at(url.removeprefix(host.url), image)
    assert place.get(*urls)["downloaded"] == 200


def test_one_image_shows_that_the_web_is_there(host: Host, place: Place) -> None:
    manners = Manners(delay=0, workers=1, trial=20)
    urls = [host.at(f"/{i}.jpg", answer(404, b"")) for i in range(40)]
    assert place.get(f"{host.url}/a.jpg", *urls, manners=manners)["dead"] == 40
    more = [host.at(f"/more{i}.jpg", answer(404, b"")) for i in range(40)]
    assert place.get(f"{host.url}/a.jpg", *more, manners=manners)["dead"] == 40, "or was there"
    last = [host.at(f"/last{i}.jpg", answer(404, b"")) for i in range(40)]
    assert place.get(*last, manners=Manners(delay=0, trial=0))["dead"] == 40, "or the user says so"


@pytest.mark.parametrize("reply", [answer(403, b"no"), html])
def test_a_host_that_refuses_every_photo_is_left_alone(
    host: Host, place: Place, caplog: pytest.LogCaptureFixture, reply: Answer
) -> None:
    other = Host()
    try:
        urls = [host.at(f"/{i}.jpg", reply) for i in range(40)]
        manners = Manners(delay=0, refusals=10)
        counts = place.get(*urls, f"{other.url}/a.jpg", manners=manners)
    finally:
        other.close()
    assert counts == {"downloaded": 1, "present": 0, "dead": 0, "passing": 40}
    assert 10 <= len(host.asked) < 30
    assert {tries for _, tries in place.rows().values()} == {"0"}
    assert place.rows()[urls[-1]][0] == "not asked: its host refuses them all?"
    assert "with 403 or a page" in caplog.text
    for url in urls:
        host.at(url.removeprefix(host.url), image)
    assert place.get(*urls, manners=manners)["downloaded"] == 40


def test_a_host_with_photos_is_taken_at_its_word(host: Host, place: Place) -> None:
    manners = Manners(delay=0, workers=1, refusals=5)
    urls = [host.at(f"/{i}.jpg", answer(403, b"no")) for i in range(20)]
    assert place.get(f"{host.url}/a.jpg", *urls, manners=manners)["dead"] == 20
    mixed = [host.at(f"/b{i}.jpg", answer(403 if i % 5 else 404, b"no")) for i in range(1, 21)]
    assert place.get(*mixed, manners=manners)["dead"] == 20, "not in a row"
    gone = [host.at(f"/c{i}.jpg", answer(403, b"no")) for i in range(20)]
    manners = Manners(delay=0, refusals=0)
    assert place.get(*gone, manners=manners)["dead"] == 20, "or the user says so"


def test_few_requests_at_once_and_a_pause_between(host: Host, place: Place) -> None:
    urls = [host.at(f"/{i}.jpg", slow(0.1)) for i in range(8)]
    manners = Manners(workers=8, per_host=2, delay=0.05)
    assert place.get(*urls, manners=manners)["downloaded"] == 8
    assert host.most == 2
    times = sorted(at for _, at in host.asked)
    assert all(after - before > 0.03 for before, after in itertools.pairwise(times))


def test_hosts_do_not_wait_for_each_other(host: Host, place: Place) -> None:
    other = Host()
    try:
        urls = [host.at("/a.jpg", slow(0.8)), other.at("/a.jpg", slow(0.8))]
        place.get(*urls, manners=Manners(per_host=1, timeout=5))
        assert abs(host.asked[0][1] - other.asked[0][1]) < 0.6
    finally:
        other.close()


def test_redirects_are_followed_at_the_other_hosts_pace(host: Host, place: Place) -> None:
    other = Host()
    try:
        urls = [
            host.at(f"/{i}.jpg", redirect(other.at(f"/moved {i}.jpg", slow(0.05))))
            for i in range(4)
        ]
        for i in range(4):
            other.at(f"/moved%20{i}.jpg", slow(0.1))
        assert place.get(*urls, manners=Manners(per_host=1, delay=0))["downloaded"] == 4
        assert place.names() == {image_name(url) for url in urls}
        assert other.most == 1
    finally:
        other.close()


def test_a_body_without_a_length_is_still_limited(host: Host, place: Place) -> None:
    def endless(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/jpeg")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"\xff" * 10_000)

    url = host.at("/x.jpg", endless)
    assert place.get(url, manners=Manners(most_bytes=100_000))["dead"] == 1
    assert place.rows()[url][0] == "too large: over 100000 bytes"


def test_a_name_that_is_taken(host: Host, place: Place) -> None:
    url = f"{host.url}/a.jpg"
    (place.images / image_name(url)).mkdir(parents=True)
    with pytest.raises(UserError, match="can't be written") as caught:
        place.get(url)
    assert caught.value.remedy


def test_a_link_in_the_folder_is_replaced_not_followed(
    host: Host, place: Place, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    url = f"{host.url}/a.jpg"
    place.images.mkdir()
    (place.images / image_name(url)).symlink_to(mine)
    assert place.get(url)["downloaded"] == 1
    assert mine.read_text() == "precious"
    assert not (place.images / INCOMING).exists()


def test_stopped_and_run_again(host: Host, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [host.at("/dead.jpg", answer(404, b""))]
    urls += [f"{host.url}/{i}.jpg" for i in range(10)]
    whole = module._Download._keep
    kept = []

    def stop(self: Any, url: str, data: bytes) -> None:
        whole(self, url, data)
        kept.append(url)
        if len(kept) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(module._Download, "_keep", stop)
    with pytest.raises(KeyboardInterrupt):
        place.get(*urls, manners=Manners(workers=1, delay=0))
    assert place.rows() == {urls[0]: ("404", "1")}, "what was learnt is kept"
    monkeypatch.undo()
    counts = place.get(*urls)
    assert (counts["present"], counts["downloaded"]) == (len(kept), 10 - len(kept))
    assert host.count("/dead.jpg") == 1


def test_another_table_is_no_list_of_dead_links(place: Place) -> None:
    place.dead.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="has no column url"):
        read_dead(place.dead)
    place.dead.write_text("url,status,tries\nhttp://h/a.jpg,404,many\n")
    with pytest.raises(UserError, match="row 2: 'many' tries") as caught:
        read_dead(place.dead)
    assert caught.value.remedy
    place.dead.write_text("url,status,tries\n")
    assert read_dead(place.dead) == {}


@given(st.text(max_size=40))
def test_any_header_is_a_wait(value: str) -> None:
    assert 0 <= retry_after(value) < float("inf")


def test_retry_after() -> None:
    assert retry_after(None) == retry_after("soon") == retry_after("-5") == 0
    assert retry_after(" 12 ") == 12
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after(formatdate(0, usegmt=True)) == 0


def triplets(folder: Path, urls: list[str]) -> Path:
    table = folder / "faceexp-comparison-data-train-public.csv"
    cells = [cell for url in urls for cell in (url, "0.1", "0.9", "0.1", "0.9")]
    table.write_text(",".join([*cells, "ONE_CLASS_TRIPLET", "7", "3", "8", "3"]) + "\n")
    return table


def test_from_a_table_to_triplets_by_the_script(host: Host, tmp_path: Path) -> None:
    table = triplets(tmp_path, [f"{host.url}/{i}.jpg" for i in range(3)])
    report = tmp_path / "results" / "dead.csv"
    script = CHECKOUT / "workflow" / "scripts" / "download_fec.py"
    fec = f"{{train: {table}, test: null, images: {tmp_path / 'images'}}}"
    run = subprocess.run(
        [sys.executable, script, "--fec", fec, "--report", report, "--delay", "0"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(CHECKOUT / "src")},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert report.read_text() == "url,status,tries\n"
    found, audit = read_fec(table, tmp_path / "images")
    assert (found.odd.tolist(), audit) == ([2], [])


def test_a_photo_that_may_be_of_a_tie_is_not_taken_for_anothers(host: Host, tmp_path: Path) -> None:
    table = triplets(tmp_path, [f"{host.url}/{i}.jpg" for i in range(3)])
    tie = table.read_text().replace("/0.jpg", "/other/0.jpg").replace("8,3", "8,1")
    table.write_text(table.read_text() + tie)
    images = tmp_path / "images"
    images.mkdir()
    for i in range(2):
        (images / f"{i}.jpg").write_bytes(FACE)
    counts = download_fec({"train": table, "images": images}, tmp_path / "dead.csv", HASTY)
    assert counts == {"downloaded": 2, "present": 1, "dead": 0, "passing": 0}
    assert {path for path, _ in host.asked} == {"/0.jpg", "/2.jpg"}


def test_messages_of_the_rule(host: Host, tmp_path: Path) -> None:
    table, images = triplets(tmp_path, [f"{host.url}/{i}.jpg" for i in range(3)]), tmp_path / "i"
    report = tmp_path / "dead.csv"

    def told(match: str, **fec: Any) -> None:
        with pytest.raises(UserError, match=match) as caught:
            download_fec(fec, report, HASTY)
        assert caught.value.remedy
        assert not report.exists()

    told("teacher.fec.train: is not set", train=None, test=None, images=str(images))
    told("teacher.fec.images: is not set", train=str(table), images=None)
    told("no such file", train=str(tmp_path / "no.csv"), images=str(images))
    host.at("/0.jpg", answer(500, b""))
    told("1 of 3 links gave no answer", train=str(table), images=str(images))
    host.at("/0.jpg", answer(404, b""))
    counts = download_fec({"train": str(table), "images": str(images)}, report, HASTY)
    assert counts == {"downloaded": 0, "present": 2, "dead": 1, "passing": 0}
    assert report.read_text() == (images / DEAD_FILE).read_text()
    (tmp_path / "other").mkdir()
    dead = triplets(tmp_path / "other", [host.at(f"/{i}", answer(404, b"")) for i in range(3)])
    report.unlink()
    told("not one of 3 images", train=str(dead), images=str(tmp_path / "none"))
