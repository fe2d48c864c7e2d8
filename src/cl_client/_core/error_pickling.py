"""Requests and responses of pickled errors: copied without anything that may be secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_LEFT_OUT = frozenset({b"set-cookie", b"content-encoding", b"content-length", b"transfer-encoding"})
"""A secret, and headers that do not describe a body that is already decoded."""


def portable(value: object) -> object:
    """Remove secrets from a value of an error.

    Args:
        value: Anything; only `httpx.Request` and `httpx.Response` are changed.

    Returns:
        The value itself, or a copy of the request or response without secret headers.
    """
    import httpx

    if isinstance(value, httpx.Request):
        return httpx.Request(value.method, value.url)
    if isinstance(value, httpx.Response):
        return _portable_response(value)
    return value


def _portable_response(response: httpx.Response) -> httpx.Response:
    import httpx

    try:
        content = response.content
    except httpx.ResponseNotRead:
        content = b""
    request = response.request
    return httpx.Response(
        response.status_code,
        headers=[(name, value) for name, value in response.headers.raw if name.lower() not in _LEFT_OUT],
        content=content,
        request=httpx.Request(request.method, request.url),
    )
