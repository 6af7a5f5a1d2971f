"""One address -> its bytes: attempts, redirects, limits."""

from __future__ import annotations

import http.cookiejar
import random
import threading
import time
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urljoin

import requests
import urllib3
from pydantic import Field

from bottega.amazon.addresses import AddressBook
from bottega.amazon.hosts import Host
from bottega.amazon.miss import Miss, Stopped
from workbench.config import Settings

_REDIRECTS = 5
_CHUNK = 1 << 13  # bytes; small, so that a slow host is noticed between two of them
_PASSING = {407, 408, 425, 429, 500, 502, 503, 504}  # worth asking again


class DownloadSettings(Settings):
    """How pictures are downloaded; seconds, bytes, pixels.

    Attributes
    ----------
    workers : threads. per_host : requests at a time to one host. delay : between two request starts to one host.
    timeout : without any byte; four times that for a whole picture. attempts : a picture, at most.
    backoff, longest_wait : the n-th wait after a failure is random up to `backoff` 2^n, at most `longest_wait`;
        a host that asks for more patience than `longest_wait` is not waited for.
    max_bytes, max_pixels : a larger picture is left out.
    allow_local : hosts of the own network may be asked.
    """

    workers: int = Field(default=8, ge=1, le=64)
    per_host: int = Field(default=4, ge=1)
    delay: float = Field(default=0.05, ge=0)
    timeout: float = Field(default=30, gt=0)
    attempts: int = Field(default=5, ge=1)
    backoff: float = Field(default=1, ge=0)
    longest_wait: float = Field(default=300, ge=0)
    max_bytes: int = Field(default=20 << 20, ge=1)
    max_pixels: int = Field(default=50_000_000, ge=1)
    allow_local: bool = False


class _Passing(Exception):
    """A failure that may pass; `wait`: the seconds that the host asks for, if it does."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Fetcher:
    """Fetches addresses; called from several threads at once, each with a session of its own."""

    def __init__(self, settings: DownloadSettings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._addresses = AddressBook(settings.allow_local)
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    def get(self, url: str) -> bytes:
        """The bytes behind an address, after as many attempts as it takes and the settings allow.

        Raises
        ------
        Miss : the address is none that may be asked, or nothing came. Stopped : the job ends.
        """
        for attempt in range(self._settings.attempts):
            try:
                return self._follow(url)
            except _Passing as failure:
                asked = failure.wait
                if asked is not None and asked > self._settings.longest_wait:
                    raise Miss(f"{failure}; the host asks for {asked:.0f} s of patience", final=False) from None
                if attempt + 1 == self._settings.attempts:
                    raise Miss(f"{failure} ({attempt + 1} attempts)", final=False) from None
                if asked is None and self._stop.wait(self._pause(attempt)):
                    raise Stopped from None
        raise AssertionError("there is at least one attempt")

    def _pause(self, attempt: int) -> float:
        return min(self._settings.longest_wait, random.uniform(0.5, 1) * self._settings.backoff * 2**attempt)

    def _follow(self, url: str) -> bytes:
        for _ in range(_REDIRECTS + 1):
            host = self._host(self._addresses.check(url))
            with host.turn():
                answer = self._ask(url, host)
            if isinstance(answer, bytes):
                return answer
            try:
                url = urljoin(url, answer)
            except ValueError as error:
                raise Miss(f"redirected to no valid address: {error}") from None
        raise Miss(f"more than {_REDIRECTS} redirects")

    def _ask(self, url: str, host: Host) -> bytes | str:
        """The bytes, or the address to ask instead."""
        try:
            content = self._request(url)
        except _Passing as failure:
            host.answered(well=False)
            if failure.wait is not None and failure.wait <= self._settings.longest_wait:
                host.pause(failure.wait)
            raise
        except Miss:
            host.answered(well=True)
            raise
        host.answered(well=True)
        return content

    def _request(self, url: str) -> bytes | str:
        timeout = self._settings.timeout
        try:
            with self._session().get(url, timeout=timeout, stream=True, allow_redirects=False) as response:
                if response.is_redirect:
                    return response.headers["Location"]
                if response.status_code in _PASSING:
                    wait = _retry_after(response.headers.get("Retry-After"))
                    raise _Passing(f"HTTP {response.status_code} {response.reason}", wait)
                if response.status_code != 200:
                    raise Miss(f"HTTP {response.status_code} {response.reason}")
                return self._body(response)
        except requests.Timeout:
            raise _Passing(f"no answer within {timeout:g} s") from None
        except ValueError as error:  # of many classes; of proxies, only the user's own settings speak
            if isinstance(error, requests.exceptions.InvalidProxyURL):
                raise _Passing(f"the proxy: {error}") from None
            raise Miss(f"no valid address: {error}") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _Passing(f"{type(error).__name__}: {error}") from None

    def _body(self, response: requests.Response) -> bytes:
        limit, deadline = self._settings.max_bytes, time.monotonic() + 4 * self._settings.timeout
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise Miss(f"{int(announced):,} bytes are more than {limit:,}")
        content = bytearray()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            if len(content) > limit:
                raise Miss(f"more than {limit:,} bytes")
            if time.monotonic() > deadline:
                raise _Passing(f"not all there within {4 * self._settings.timeout:g} s")
            if self._stop.is_set():
                raise Stopped
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        if announced.isdecimal() and not encoded and len(content) != int(announced):
            raise _Passing(f"{len(content):,} of {int(announced):,} bytes came")
        return bytes(content)

    def _host(self, name: str) -> Host:
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = Host(name, self._settings.per_host, self._settings.delay, self._stop)
            return self._hosts[name]

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.headers.update({"User-Agent": user_agent(), "Accept": "image/*", "Accept-Encoding": "identity"})
            session.auth = lambda request: request  # or requests would send what stands in ~/.netrc
            session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
            self._local.session = session
        return session


def user_agent() -> str:
    """How we introduce ourselves."""
    try:
        number = version("bottega")
    except PackageNotFoundError:
        number = "unpackaged"
    return f"bottega/{number} (data sets for research on recommendation; requests/{requests.__version__})"


def _retry_after(value: str | None) -> float | None:
    """Seconds from now of a `Retry-After` header, which gives seconds or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
