"""The pictures of many items: in parallel, resumed, each file whole and as the journal says."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from bottega.amazon.fetching import DownloadSettings, Fetcher
from bottega.amazon.miss import Miss
from bottega.amazon.pictures import EXTENSIONS, Picture, examine
from workbench.console import progress
from workbench.files import atomic_file, escape_id, fingerprint, sha256_file
from workbench.journal import Journal

_KIND = "image"
_IN_FLIGHT = 4  # tasks a worker, handed out in advance


class Wanted(NamedTuple):
    """An item and the addresses of its picture, in the order in which they are tried."""

    item: str
    urls: list[str]


class Absent(NamedTuple):
    """An item without a picture: the address that failed, the reason, and whether another run may mend it."""

    url: str
    why: str
    final: bool


class Images:
    """The folder of pictures, `<item>.<extension>`, and the journal of what was fetched.

    A picture is fetched unless the journal has it and the file has the recorded hash. A file that the journal does
    not know is taken over if it is a picture. The next address is tried only where the one before gives no picture
    for good, so the weather does not decide which one is taken.
    """

    def __init__(self, folder: Path, journal: Path, settings: DownloadSettings, retry_missing: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._journal = Journal(journal)
        self._settings = settings
        self._retry_missing = retry_missing
        self._stop = threading.Event()
        self._fetcher = Fetcher(settings, self._stop)

    def fetch(self, tasks: Iterable[Wanted], total: int) -> dict[str, Absent]:
        """Fetch what is not there; returns the items that have no picture.

        Ctrl-C ends the requests under way, writes down what is finished and is raised again.
        """
        absent: dict[str, Absent] = {}
        pool = ThreadPoolExecutor(self._settings.workers, thread_name_prefix="download")
        waiting: dict[Future[dict[str, Any]], str] = {}
        source = iter(tasks)
        with progress(total, "images", "image") as bar:
            try:
                while True:
                    for task in itertools.islice(source, _IN_FLIGHT * self._settings.workers - len(waiting)):
                        known = self._journal.get(_KIND, task.item)
                        waiting[pool.submit(self._settle, task, known)] = task.item
                    if not waiting:
                        break
                    for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                        self._record(waiting.pop(done), done.result(), absent)
                        bar.update()
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                for done, item in waiting.items():
                    if not done.cancelled() and done.exception() is None:
                        self._record(item, done.result(), absent)
                raise
        pool.shutdown()
        return absent

    def _record(self, item: str, values: dict[str, Any], absent: dict[str, Absent]) -> None:
        known = self._journal.get(_KIND, item)
        if known is None or any(known.get(key) != value for key, value in values.items()):
            self._journal.append(_KIND, item, values)
        if "why" in values:
            absent[item] = Absent(values["url"], values["why"], values["final"])

    def _settle(self, task: Wanted, known: dict[str, Any] | None) -> dict[str, Any]:
        """The values of the journal's line about an item, once its picture is there or known to be missing."""
        asked = fingerprint(task.urls)
        if known is None or "why" in known:
            found = self._adopt(task, asked)
            if found:
                return found
        if known is not None and known["asked"] == asked:
            done = known["final"] and not self._retry_missing if "why" in known else self._intact(known)
            if done:
                return {key: value for key, value in known.items() if key not in ("kind", "key")}
        values = self._fetch(task, asked)
        if known and "file" in known and known["file"] != values.get("file"):
            (self._folder / known["file"]).unlink(missing_ok=True)
        return values

    def _fetch(self, task: Wanted, asked: str) -> dict[str, Any]:
        missing = {"asked": asked, "url": "", "why": "the metadata names no picture", "final": True}
        for url in task.urls:
            try:
                content = self._fetcher.get(url)
                picture = examine(content, self._settings.max_pixels)
            except Miss as miss:
                missing = {"asked": asked, "url": url, "why": str(miss), "final": miss.final}
                if not miss.final:
                    break
            else:
                name = escape_id(task.item) + picture.extension
                with atomic_file(self._folder / name) as temporary:
                    temporary.write_bytes(content)
                return _values(asked, url, name, content, picture)
        return missing

    def _adopt(self, task: Wanted, asked: str) -> dict[str, Any] | None:
        for path in self._candidates(task.item):
            content = path.read_bytes()
            try:
                picture = examine(content, self._settings.max_pixels)
            except Miss:
                continue
            if picture.extension == path.suffix:
                return _values(asked, "", path.name, content, picture)
        return None

    def _candidates(self, item: str) -> Iterator[Path]:
        for extension in dict.fromkeys(EXTENSIONS.values()):
            path = self._folder / f"{escape_id(item)}{extension}"
            if path.is_file() and path.stat().st_size <= self._settings.max_bytes:
                yield path

    def _intact(self, known: dict[str, Any]) -> bool:
        path = self._folder / known["file"]
        return path.is_file() and path.stat().st_size == known["bytes"] and sha256_file(path) == known["sha256"]


def _values(asked: str, url: str, name: str, content: bytes, picture: Picture) -> dict[str, Any]:
    return {
        "asked": asked,
        "url": url,
        "file": name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "width": picture.width,
        "height": picture.height,
    }
