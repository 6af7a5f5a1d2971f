"""Which addresses may be asked: a dump is written by others, and must not send us round our own network."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy

from bottega.amazon.miss import Miss

_PLACEHOLDERS = ("/no-img", "/no_image", "/no-image")


class AddressBook:
    """Checks addresses; a host's name is looked up once.

    Parameters
    ----------
    allow_local : hosts of the own network may be asked, too.
    """

    def __init__(self, allow_local: bool = False) -> None:
        self._allow_local = allow_local
        self._public: dict[str, bool] = {}

    def check(self, url: str) -> str:
        """The host (with its port) of an address that may be asked.

        Raises
        ------
        Miss : not http or https, user names in it, a placeholder's address, a host of the own network or unknown.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise Miss(f"no valid address: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise Miss("not an http or https address")
        if parts.username is not None or parts.password is not None:
            raise Miss("the address has a user name in it")
        if any(mark in parts.path.lower() for mark in _PLACEHOLDERS):
            raise Miss("the address of the shop's `no image` picture")
        if not self._allow_local and not self._is_public(url, host):
            raise Miss("a host of the own network (--allow-local would ask it)")
        return f"{host}:{port or parts.scheme}"

    def _is_public(self, url: str, host: str) -> bool:
        if host not in self._public:
            self._public[host] = all(_is_global(address) for address in _resolve(url, host))
        return self._public[host]


def _resolve(url: str, host: str) -> list[str]:
    """The numeric addresses of a host; none where a proxy resolves the name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if select_proxy(url, get_environ_proxies(url)):
            return []
    else:
        return [host]
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Miss(f"the host {host} is not known: {error}", final=False) from None


def _is_global(text: str) -> bool:
    return ipaddress.ip_address(text.partition("%")[0]).is_global
