"""Small dumps of the three collections, and a server of pictures that misbehaves as told."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from bottega.amazon.fetching import DownloadSettings

QUICK = DownloadSettings(delay=0, timeout=1, attempts=4, backoff=0.01, allow_local=True)


def picture(seed: int = 0, form: str = "JPEG", size: tuple[int, int] = (24, 20)) -> bytes:
    """The bytes of a picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def blank(size: tuple[int, int], form: str) -> bytes:
    """The bytes of a picture of one colour: few for many pixels."""
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, form)
    return stream.getvalue()


class Answer(NamedTuple):
    """One answer: `announced` overrides the true length (-1: none), `seconds` it waits before the body."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}
    announced: int | None = None
    seconds: float = 0


class PictureServer:
    """Gives the answers of each path in turn, the last again and again; counts the requests."""

    def __init__(self, answers: Mapping[str, Answer | Sequence[Answer]]) -> None:
        self.answers = {path: [one] if isinstance(one, Answer) else list(one) for path, one in answers.items()}
        self.requests: Counter[str] = Counter()
        self.times: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.address = ""

    @contextmanager
    def running(self) -> Iterator[PictureServer]:
        """Serve on a free port of this machine until the block ends."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with owner.lock:
                    known = owner.answers.get(self.path, [Answer(b"no such picture", 404)])
                    answer = known[min(owner.requests[self.path], len(known) - 1)]
                    owner.requests[self.path] += 1
                    owner.times.append(time.monotonic())
                    owner.headers.append(dict(self.headers))
                    owner.at_once += 1
                    owner.most_at_once = max(owner.most_at_once, owner.at_once)
                counted = True
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    if answer.announced != -1:
                        self.send_header("Content-Length", str(answer.announced or len(answer.body)))
                    self.end_headers()
                    time.sleep(answer.seconds)
                    with owner.lock:  # before the last byte: whoever has it may ask again at once
                        owner.at_once -= 1
                        counted = False
                    self.wfile.write(answer.body)
                except OSError:  # the client has had enough
                    pass
                finally:
                    with owner.lock:
                        owner.at_once -= counted

            def log_message(self, *arguments: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def write_lines(path: Path, records: Sequence[Any], literal: bool = False) -> Path:
    """A dump, gzipped if its name says so; strings and bytes are lines as they stand."""
    lines = [
        record
        if isinstance(record, bytes)
        else (record if isinstance(record, str) else repr(record) if literal else json.dumps(record)).encode()
        for record in records
    ]
    content = b"".join(line + b"\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def review_2014(user: str, item: str, rating: float = 5.0, when: int = 1_300_000_000) -> dict[str, Any]:
    return {
        "reviewerID": user,
        "asin": item,
        "helpful": [0, 1],
        "reviewText": "it's\tfine",
        "overall": rating,
        "unixReviewTime": when,
    }


def review_2018(user: str, item: str, rating: float = 5.0, when: int = 1_500_000_000) -> dict[str, Any]:
    return {"reviewerID": user, "asin": item, "verified": True, "overall": rating, "unixReviewTime": when}


def review_2023(user: str, item: str, rating: float = 5.0, when: int = 1_600_000_000_123) -> dict[str, Any]:
    return {
        "user_id": user,
        "parent_asin": item,
        "asin": item + "V",
        "rating": rating,
        "timestamp": when,
        "text": "fine",
    }


def meta_2014(item: str, url: str | None = None, **fields: Any) -> dict[str, Any]:
    known = {"asin": item, "title": f"Title {item}", "categories": [["Baby", "Toys"], ["Baby", "Gifts"]]}
    return known | ({} if url is None else {"imUrl": url}) | fields
