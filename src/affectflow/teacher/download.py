"""Download the photos that FEC links to, politely.

Few requests at a time to one host, a pause between them, no second request sooner than a host
allows (``Retry-After``), and none at all for what is there or is known to be gone. Only ``http``
and ``https`` addresses are asked, also after a redirect; only a whole image is kept, under its
`image_name`, and a file is whole or absent.
"""

from __future__ import annotations

import logging
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit

from affectflow.dataset.tables import read_table, write_table
from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic, write_text
from affectflow.teacher.faces import examine, fault_of
from affectflow.teacher.fec import fec_addresses, fec_urls
from affectflow.teacher.urls import ImageFolder, image_name

log = logging.getLogger(__name__)

AGENT = "affectflow/0.1 (research; fetches the photos that the FEC data set links to; urllib)"
INCOMING = ".incoming"
DEAD_FILE = "dead_links.csv"
DEAD_COLUMNS = ("url", "status", "tries")
AHEAD = 256
SAVE_EVERY = 60.0
PART = 1 << 16
MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What a host may answer differently another time.
PASSING = frozenset({407, 408, 425, 429, 500, 502, 503, 504, 511})
# Statuses of which many in a row are a block or a sign-in page, not photos that are gone.
REFUSALS = ("403", "no image: text/")
# What comes in place of a photo that is gone; saved, it would be a face like any other.
STAND_INS = ("photo_unavailable", "image_unavailable", "photo_not_available")
FAILED_RUNS = 3
# Begins the status of a link that was not asked in a run.
NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Manners:
    """How hosts are treated.

    Attributes
    ----------
    workers : int
        Requests under way at once, over all hosts.
    per_host : int
        Of these, to one host (and port).
    delay : float
        Seconds between two requests to one host.
    timeout : float
        Seconds without an answer, or without a further byte.
    patience : float
        Seconds that one image may take.
    tries : int
        Requests for one address, while the answer may change.
    backoff : float
        Seconds before the second try; doubled before each further one.
    longest_wait : float
        Seconds: where a host asks for more, its addresses are left for another run.
    most_bytes : int
        Of one image.
    trial : int
        Where none of a run's first so many links has an image, the run ends, and none of them
        counts as tried; 0: never.
    refusals : int
        Where a host answers so many links in a row with 403 or a page, and none with an image, all
        its links are left for another run, none of them counted as tried; 0: never.
    """

    workers: int = 8
    per_host: int = 2
    delay: float = 0.25
    timeout: float = 30.0
    patience: float = 120.0
    tries: int = 4
    backoff: float = 2.0
    longest_wait: float = 300.0
    most_bytes: int = 40_000_000
    trial: int = 100
    refusals: int = 50


class _NotAskedError(Exception):
    """An address that is left for another run, without a request."""


class _GoneError(Exception):
    """An address that has no image, now or later."""


class _PassingError(Exception):
    """A failure that may pass; `wait` is what the host asks for, in seconds."""

    def __init__(self, status: str, wait: float = 0.0) -> None:
        super().__init__(status)
        self.wait = wait


@dataclass(frozen=True)
class DeadLink:
    """An address without an image: its last answer, and how many requests that took, in all."""

    status: str
    tries: int
    passing: bool


def download(
    urls: Iterable[str],
    images: Path,
    dead: Path,
    manners: Manners | None = None,
    *,
    others: Iterable[str] = (),
    retry_dead: bool = False,
) -> dict[str, int]:
    """Download images, those that are not in the folder yet.

    May be stopped at any time and run again: it goes on where it was.

    Parameters
    ----------
    urls : iterable of str
    images : Path
        The folder for them.
    dead : Path
        A CSV of the addresses without an image, with the columns of `DEAD_COLUMNS`; read at the
        start, where there is one, and kept up. `status` is an HTTP status or a few words; one
        that may pass has ``?`` behind it.
    manners : Manners, optional
    others : iterable of str
        Addresses that are not asked for, but whose images may be in the folder.
    retry_dead : bool
        Whether to ask for dead links again. What may pass is asked again in any case, in three
        runs.

    Returns
    -------
    dict
        How many of the addresses are ``downloaded``, ``present`` (they were there), ``dead``, and
        ``passing``: worth another run.

    Raises
    ------
    UserError
        If a file can't be written, the list of dead links can't be read, or none of the first
        links has an image (`Manners.trial`).
    """
    asked = list(dict.fromkeys(urls))
    folder = ImageFolder(images, [*asked, *others])
    return _Download(asked, folder, dead, manners or Manners()).run(retry_dead)


def download_fec(
    fec: Mapping[str, Any],
    report: Path,
    manners: Manners | None = None,
    *,
    retry_dead: bool = False,
) -> dict[str, int]:
    """Download the photos that FEC's tables need.

    The list of dead links is kept in the folder of the images, as `DEAD_FILE`, and copied.

    Parameters
    ----------
    fec : mapping
        `teacher.fec` in the config: `train` and `test` (tables; either may be None), `images`.
    report : Path
        Where the list of dead links is copied to, once nothing is left to be asked again.
    manners, retry_dead
        As for `download`.

    Returns
    -------
    dict
        As of `download`.

    Raises
    ------
    UserError
        If no table or no folder is named, a table is no table of FEC, not one image could be
        had, or some links may answer in another run.
    """
    tables = [Path(fec[key]).expanduser() for key in ("train", "test") if fec.get(key)]
    for key, given in (("train", tables), ("images", fec.get("images"))):
        if not given:
            raise UserError(
                f"teacher.fec.{key}: is not set",
                "Get the tables from Google, name them and a folder for the images in the config; "
                "docs/teacher.md.",
            )
    images = Path(fec["images"]).expanduser()
    urls = [url for table in tables for url in fec_urls(table)]
    others = [url for table in tables for url in fec_addresses(table)]
    dead = images / DEAD_FILE
    counts = download(urls, images, dead, manners, others=others, retry_dead=retry_dead)
    log.info("%s", ", ".join(f"{n} {what}" for what, n in counts.items()))
    if not counts["downloaded"] + counts["present"]:
        raise UserError(
            f"{images}: not one of {len(set(urls))} images could be had; {dead} tells why",
            "See whether this machine reaches the web (a proxy: set https_proxy), then give the "
            "same command again.",
        )
    if counts["passing"]:
        raise UserError(
            f"{counts['passing']} of {len(set(urls))} links gave no answer this time; "
            f"{dead} names them",
            "Give the same command again, later: only these are asked. Once they were asked in "
            "three runs they count as dead.",
        )
    write_text(report, dead.read_text(encoding="utf-8"))
    return counts


class _Download:
    def __init__(self, urls: list[str], folder: ImageFolder, dead: Path, manners: Manners) -> None:
        self.urls, self.folder, self.dead_path, self.manners = urls, folder, dead, manners
        self.images = folder.folder
        self.dead = read_dead(dead)
        self.known = dict(self.dead)
        self.blame = _Blame(manners)
        self.hosts = _Hosts(manners)
        self.stop = threading.Event()
        self.counts: Counter[str] = Counter(dict.fromkeys(("downloaded", "present"), 0))

    def run(self, retry_dead: bool) -> dict[str, int]:
        saved = time.monotonic()
        waiting: list[Future[tuple[str, DeadLink | str]]] = []
        pool = ThreadPoolExecutor(self.manners.workers)
        try:
            for url in self.urls:
                known = self.dead.get(url)
                spent = known and (
                    not known.passing or known.tries >= FAILED_RUNS * self.manners.tries
                )
                if spent and not retry_dead and self.folder.find(url) is None:
                    continue
                # What was tried before counts, unless the user wants to start anew.
                before = known.tries if known and not retry_dead else 0
                waiting.append(pool.submit(self._one, url, before))
                if len(waiting) >= AHEAD:
                    waiting = self._take(waiting)
                if time.monotonic() - saved > SAVE_EVERY:
                    self._save()
                    saved = time.monotonic()
            while waiting:
                waiting = self._take(waiting)
        finally:
            # Also when the user stops it: nobody waits for a queue of thousands.
            self.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._save()
            with suppress(OSError):
                (self.images / INCOMING).rmdir()
        mine = [self.dead[url] for url in self.urls if url in self.dead]
        passing = sum(self._may_pass(link) for link in mine)
        return {**self.counts, "dead": len(mine) - passing, "passing": passing}

    def _may_pass(self, link: DeadLink) -> bool:
        return link.passing and link.tries < FAILED_RUNS * self.manners.tries

    def _take(
        self, waiting: list[Future[tuple[str, DeadLink | str]]]
    ) -> list[Future[tuple[str, DeadLink | str]]]:
        done, rest = wait(waiting, return_when=FIRST_COMPLETED)
        # In the links' order: `done` has none, and so many in a row mean something.
        for future in (future for future in waiting if future in done):
            url, outcome = future.result()
            if isinstance(outcome, DeadLink):
                self.dead[url] = outcome
                self.dead |= self.blame.no_image(url, outcome)
                continue
            self.dead.pop(url, None)
            self.counts[outcome] += 1
            if outcome == "downloaded":
                self.blame.image(url)
        if self.blame.is_ours() and not self.counts["downloaded"] + self.counts["present"]:
            self.dead = self.known
            raise UserError(
                f"{self.images}: not one of the first {self.blame.statuses.total()} links gave an "
                f"image ({self.blame.text()})",
                "See whether this machine reaches the web (a proxy: set https_proxy; a network's "
                "sign-in page), then give the same command again: none of them counts as tried. "
                "If the photos are really gone, docs/teacher.md tells how to go on.",
            )
        return [future for future in waiting if future in rest]

    def _save(self) -> None:
        write_table(
            self.dead_path,
            DEAD_COLUMNS,
            (
                {
                    "url": url,
                    "status": link.status + "?" * link.passing,
                    "tries": link.tries,
                }
                for url, link in sorted(self.dead.items())
            ),
        )
        log.info(
            "%d downloaded, %d were there, %d links without an image",
            self.counts["downloaded"],
            self.counts["present"],
            len(self.dead),
        )

    def _one(self, url: str, before: int) -> tuple[str, DeadLink | str]:
        """Return what became of an address: a word for the counts, or why it has no image."""
        path = self.folder.find(url)
        if path is not None and not examine(path).fault:
            return url, "present"
        passing = _PassingError(NOT_ASKED)
        tried = 0
        while tried < self.manners.tries and not self.stop.is_set():
            if tried and self.stop.wait(max(self.manners.backoff * 2 ** (tried - 1), passing.wait)):
                break
            try:
                if _host(url) in self.blame.refusing:
                    raise _NotAskedError("its host refuses them all")
                self._keep(url, self._fetch(url))
                return url, "downloaded"
            except _GoneError as gone:
                return url, DeadLink(str(gone), before + tried + 1, passing=False)
            except _NotAskedError as error:
                # What it answered to an earlier request says more.
                passing = passing if tried else _PassingError(f"{NOT_ASKED}: {error}")
                break
            except _PassingError as error:
                passing = error
                tried += 1
                if passing.wait > self.manners.longest_wait:
                    break
        return url, DeadLink(str(passing), before + tried, passing=True)

    def _keep(self, url: str, data: bytes) -> None:
        # In a folder of its own: `atomic` lists its target's folder, and that may have 150,000.
        name = image_name(url)
        incoming = self.images / INCOMING / name
        with atomic(incoming) as temporary:
            temporary.write_bytes(data)
        try:
            incoming.replace(self.images / name)
        except OSError as error:
            raise UserError(
                f"{self.images / name}: can't be written: {error.strerror}",
                "Move away what has this name, and run the download again.",
            ) from error

    def _fetch(self, url: str) -> bytes:
        """Return the image of an address, following redirects, each at its own host's pace."""
        for _ in range(MOST_REDIRECTS + 1):
            url = _safe(url)
            if any(word in urlsplit(url).path for word in STAND_INS):
                raise _GoneError("stand-in for a photo that is gone")
            with self.hosts.turn(url, self.stop):
                answer = self._ask(url)
            if isinstance(answer, bytes):
                fault = fault_of(answer)
                if fault:
                    raise _GoneError(f"no image: {fault}")
                return answer
            url = urljoin(url, answer)
        raise _GoneError("too many redirects")

    def _ask(self, url: str) -> bytes | str:
        """Return an answer's body, or where it redirects to."""
        request = urllib.request.Request(
            url, headers={"User-Agent": AGENT, "Accept": "image/*", "Accept-Encoding": "identity"}
        )
        try:
            with _OPENER.open(request, timeout=self.manners.timeout) as response:
                return self._body(response)
        except HTTPError as error:
            with error:
                return self._no_body(url, error)
        except (URLError, HTTPException, OSError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise _PassingError(_words(reason)) from error
        except ValueError as error:
            # What a host sends may be no HTTP at all.
            raise _GoneError(f"no answer of a web server: {error}"[:100]) from error

    def _no_body(self, url: str, error: HTTPError) -> str:
        if error.code in REDIRECTS:
            target = error.headers.get("Location")
            if not target:
                raise _GoneError(f"{error.code} to nowhere")
            return target
        if error.code not in PASSING:
            raise _GoneError(str(error.code))
        wait = retry_after(error.headers.get("Retry-After"))
        self.hosts.pause(url, wait)
        raise _PassingError(str(error.code), wait)

    def _body(self, response: HTTPResponse) -> bytes:
        kind = response.headers.get_content_type()
        if kind.startswith("text/"):
            raise _GoneError(f"no image: {kind}")
        length = response.headers.get("Content-Length", "")
        wanted = int(length) if length.isdecimal() else None
        if wanted is not None and wanted > self.manners.most_bytes:
            raise _GoneError(f"too large: {wanted} bytes")
        began = time.monotonic()
        data = bytearray()
        while part := response.read1(PART):
            data += part
            if len(data) > self.manners.most_bytes:
                raise _GoneError(f"too large: over {self.manners.most_bytes} bytes")
            if time.monotonic() - began > self.manners.patience:
                raise _PassingError("too slow")
        if wanted is not None and len(data) < wanted:
            raise _PassingError("cut off")
        return bytes(data)


class _Blame:
    """Whether links without an image are the photos' fault, a host's, or this machine's.

    Attributes
    ----------
    statuses : Counter
        Of this run's links that were asked and had no image.
    refusing : set of str
        Hosts that refuse every photo.
    """

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.statuses: Counter[str] = Counter()
        self.refusing: set[str] = set()
        self._giving: set[str] = set()
        self._refused: dict[str, dict[str, DeadLink]] = {}

    def image(self, url: str) -> None:
        """Note that a link had an image: its host is no refusing one."""
        self._giving.add(_host(url))
        self.refusing.discard(_host(url))

    def no_image(self, url: str, link: DeadLink) -> dict[str, DeadLink]:
        """Note a link without an image; return links that its host is to blame for, uncounted."""
        host = _host(url)
        if link.status.startswith(NOT_ASKED):
            return {}
        self.statuses[link.status] += 1
        if not self.manners.refusals or host in self._giving:
            return {}
        refused = self._refused.setdefault(host, {})
        if link.status.startswith(REFUSALS):
            refused[url] = replace(link, tries=link.tries - 1, passing=True)
        elif host not in self.refusing:
            refused.clear()
        if len(refused) < self.manners.refusals:
            return {}
        if host not in self.refusing:
            log.warning(
                "%s: answered %d links in a row with 403 or a page, none with an image; all its "
                "links are left for another run",
                host,
                len(refused),
            )
        self.refusing.add(host)
        return refused

    def is_ours(self) -> bool:
        """Return whether so many links were asked that one should have had an image."""
        return bool(self.manners.trial) and self.statuses.total() >= self.manners.trial

    def text(self) -> str:
        """Return the most frequent statuses, as people read them."""
        return ", ".join(f"{n} x {status}" for status, n in self.statuses.most_common(3))


class _Hosts:
    """Whose turn it is: few requests at a time to one host, and not one right after another."""

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self._lock = threading.Lock()
        self._slots: dict[str, threading.Semaphore] = {}
        self._free: dict[str, float] = {}

    @contextmanager
    def turn(self, url: str, stop: threading.Event) -> Iterator[None]:
        """Wait for a host's turn; then keep it while the request lasts.

        Raises
        ------
        _NotAskedError
            If that takes longer than a host may ask for.
        """
        host = _host(url)
        longest = max(self.manners.longest_wait, self.manners.delay)
        with self._lock:
            slot = self._slots.setdefault(host, threading.Semaphore(self.manners.per_host))
        with slot:
            while True:
                with self._lock:
                    left = self._free.get(host, 0.0) - time.monotonic()
                    if left <= 0:
                        self._free[host] = time.monotonic() + self.manners.delay
                        break
                if left > longest:
                    raise _NotAskedError("its host asks for a longer pause")
                if stop.wait(left):
                    raise _NotAskedError("stopped")
            yield

    def pause(self, url: str, seconds: float) -> None:
        """Leave a host alone for so long."""
        host = _host(url)
        with self._lock:
            self._free[host] = max(self._free.get(host, 0.0), time.monotonic() + seconds)


def _host(url: str) -> str:
    """Return an address's host and port; "" where it is no address."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _opener() -> urllib.request.OpenerDirector:
    # Not `build_opener`: that opens file: and ftp: too, and follows redirects at once.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    opener.addheaders = []
    return opener


_OPENER = _opener()


def _safe(url: str) -> str:
    """Return an address that may be asked for, its odd characters quoted.

    Raises
    ------
    _GoneError
        If it is none of the web's.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _GoneError(f"refused: {error}") from error
    if parts.scheme.lower() not in ("http", "https"):
        raise _GoneError(f"refused: {parts.scheme[:20] or 'no'} address")
    if not parts.hostname or parts.username is not None or port == 0:
        raise _GoneError("refused: no plain address")
    try:
        parts.netloc.encode("ascii")
    except UnicodeEncodeError as error:
        raise _GoneError("refused: no plain address") from error
    # Percent signs are left: the address may be quoted already.
    return parts._replace(
        path=quote(parts.path, safe="/%:@!$&'()*+,;=~-._"),
        query=quote(parts.query, safe="/?%:@!$&'()*+,;=~-._"),
        fragment="",
    ).geturl()


def _words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "timeout"
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return " ".join(str(text).split())[:100]


def retry_after(value: str | None) -> float:
    """Return what a ``Retry-After`` header asks for, in seconds from now; 0 where it is none."""
    if not value:
        return 0.0
    value = value.strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def read_dead(path: Path) -> dict[str, DeadLink]:
    """Read a list of dead links; where there is none, or it has no row, there are none.

    Raises
    ------
    UserError
        If it is another table.
    """
    if not path.is_file() or len(path.read_bytes().split()) <= 1:
        return {}
    _, rows = read_table(path, DEAD_COLUMNS)
    links = {}
    for row in rows:
        if not (row["tries"].isdecimal() and row["tries"].isascii()):
            raise UserError(
                f"{path}: row {row['']}: '{row['tries']}' tries",
                "It must be a whole number; or remove the file, and its links are asked again.",
            )
        status = row["status"]
        links[row["url"]] = DeadLink(status.rstrip("?"), int(row["tries"]), status.endswith("?"))
    return links
