"""Checks of headers, tokens and URLs. No message quotes a value, since it may be a secret."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token as defined in RFC 9110, 5.6.2."""
_HEADER_VALUE: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
"""Printable ASCII without leading or trailing spaces. Checked here because h11 and httpx quote bad values."""
_TOKEN: Final = re.compile(r"[!-~]+")
_SERVER_SCHEMES: Final = ("http://", "https://")
_PROXY_SCHEMES: Final = (*_SERVER_SCHEMES, "socks5://", "socks5h://")
_LAST_PORT: Final = 65535
_ENCODE_LOGIN: Final = (
    "write /, ?, #, @ and : in a user name or password as %2F, %3F, %23, %40 and %3A, "
    "and an @ after the host as %40"
)


def is_token(text: str) -> bool:
    """Check whether a token can be sent in a header.

    Args:
        text: The token.

    Returns:
        Whether it is a single word of printable ASCII.
    """
    return _TOKEN.fullmatch(text) is not None


def check_headers(headers: Mapping[str, str]) -> None:
    """Check HTTP headers before they are sent.

    Args:
        headers: Values by name.

    Raises:
        ValueError: A name or a value is invalid.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a valid header name")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(
                f"the value of {name!r} has a line break, a leading or trailing space, or a character that "
                "is not ASCII"
            )


def check_server_url(url: str) -> None:
    """Check the URL of a service, after credentials were removed from it.

    Args:
        url: An ``http`` or ``https`` URL with a host, and possibly a port and a path.

    Raises:
        ValueError: The URL is invalid, or has credentials, a query or a fragment.
    """
    if not url.startswith(_SERVER_SCHEMES):
        raise ValueError("the URL must start with http:// or https://, for instance http://server:8002")
    if "@" in url:
        raise ValueError(_ENCODE_LOGIN)
    if "?" in url or "#" in url:
        raise ValueError("the URL cannot contain ? or #, because paths are appended to it")
    _check_host(url)


def check_proxy(url: str) -> None:
    """Check the URL of a proxy.

    Args:
        url: The URL, possibly with a user name and a password.

    Raises:
        ValueError: The URL is invalid, or its scheme is not supported.
    """
    if not url.startswith(_PROXY_SCHEMES):
        raise ValueError(f"the URL must start with one of {', '.join(_PROXY_SCHEMES)}")
    check_login(url)
    _check_host(url)


def check_login(url: str) -> None:
    """Check that the user name and password in a URL are percent-encoded.

    Args:
        url: The URL, with or without a user name and a password.

    Raises:
        ValueError: There is an ``@`` after the host part, where no credentials can be.
    """
    if any("@" in part for part in re.split("[/?#]", url.partition("://")[2])[1:]):
        raise ValueError(_ENCODE_LOGIN)


def check_endpoint(path: str) -> None:
    """Check a path that is appended to the server's URL.

    Args:
        path: The path; without its leading slash, it could name a different server.

    Raises:
        ValueError: It does not start with a slash, or contains ``?`` or ``#``.
    """
    if not path.startswith("/") or "?" in path or "#" in path:
        raise ValueError("the path must start with / and cannot contain ? or #")


def server_of(url: httpx.URL) -> tuple[str, str, int | None]:
    """Get the origin of a URL (RFC 6454, 4).

    Args:
        url: Any URL.

    Returns:
        Scheme, host and port, with None for the scheme's default port.
    """
    return url.scheme, url.host, url.port


def _check_host(url: str) -> None:
    parsed = None
    # Both parsers quote an invalid port in their errors, so these are not shown. Each accepts some URLs that
    # the other rejects.
    with contextlib.suppress(httpx.InvalidURL, ValueError):
        urlsplit(url)
        parsed = httpx.URL(url)
    if parsed is None or "%20" in parsed.host or not 0 < (parsed.port or 1) <= _LAST_PORT:
        raise ValueError("the host or port is invalid; write the URL like http://server:8002")
    if not parsed.host:
        raise ValueError("the URL has no host; write it like http://server:8002")
