"""What headers, tokens and addresses must look like. No message quotes them, nor a parser that would."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, 5.6.2."""
_HEADER_VALUE: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
"""Printable ASCII without a space at either end; h11 and httpx quote what they refuse."""
_TOKEN: Final = re.compile(r"[!-~]+")
_SERVER_SCHEMES: Final = ("http://", "https://")
_PROXY_SCHEMES: Final = (*_SERVER_SCHEMES, "socks5://", "socks5h://")
_LAST_PORT: Final = 65535
_LOGIN_BELONGS: Final = (
    "write /, ?, #, @ and : in a user name or password as %2F, %3F, %23, %40 and %3A, "
    "and an @ behind the host as %40"
)


def is_token(text: str) -> bool:
    """Whether it is one word of printable ASCII, as which a token becomes part of a header."""
    return _TOKEN.fullmatch(text) is not None


def check_headers(headers: Mapping[str, str]) -> None:
    """Check what is to be sent.

    Raises:
        ValueError: A name is none, or a value cannot be sent.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no header name")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(
                f"the value of {name!r} has a line break, a space at an end, or a character that is not ASCII"
            )


def check_server_url(url: str) -> None:
    """Check the address of a service, out of which credentials have been taken.

    Raises:
        ValueError: It is none, or has more than a scheme, a host, a port and a path.
    """
    if not url.startswith(_SERVER_SCHEMES):
        raise ValueError("write it with its scheme, for instance http://server:8002")
    if "@" in url:
        raise ValueError(_LOGIN_BELONGS)
    if "?" in url or "#" in url:
        raise ValueError("paths are added to it, so it cannot have a ? or # in it")
    _check_host(url)


def check_proxy(url: str) -> None:
    """Check the address of a proxy.

    Raises:
        ValueError: It is none that httpx takes.
    """
    if not url.startswith(_PROXY_SCHEMES):
        raise ValueError(f"write it with its scheme, one of {', '.join(_PROXY_SCHEMES)}")
    check_login(url)
    _check_host(url)


def check_login(url: str) -> None:
    """Check that a user name and a password end before the host, and hold nothing that ends them earlier.

    Raises:
        ValueError: There is an ``@`` where no credentials can be.
    """
    if any("@" in part for part in re.split("[/?#]", url.partition("://")[2])[1:]):
        raise ValueError(_LOGIN_BELONGS)


def check_endpoint(path: str) -> None:
    """Check a path that is added to the server's address.

    Raises:
        ValueError: With it, it would be the address of another server, or none of a path.
    """
    if not path.startswith("/") or "?" in path or "#" in path:
        raise ValueError("a path begins with a /, and has no ? or # in it")


def server_of(url: httpx.URL) -> tuple[str, str, int | None]:
    """What has to be the same for two addresses to be of one server (RFC 6454, 4)."""
    return url.scheme, url.host, url.port


def _check_host(url: str) -> None:
    parsed = None
    # The texts of both parsers quote what they took for the port. Each takes what the other does not.
    with contextlib.suppress(httpx.InvalidURL, ValueError):
        urlsplit(url)
        parsed = httpx.URL(url)
    if parsed is None or "%20" in parsed.host or not 0 < (parsed.port or 1) <= _LAST_PORT:
        raise ValueError("its host or port is unusable; write it like http://server:8002")
    if not parsed.host:
        raise ValueError("it has no host; write it like http://server:8002")
