"""Requests and answers as an error takes them to another process: without what may be secret in them."""

from __future__ import annotations

import httpx

_LEFT_OUT = frozenset({b"set-cookie", b"content-encoding", b"content-length", b"transfer-encoding"})
"""A secret, and what is not true of a body that is decoded already."""


def portable(value: object) -> object:
    """The same, or what of a request or answer may be shown to anybody."""
    if isinstance(value, httpx.Request):
        return httpx.Request(value.method, value.url)
    if isinstance(value, httpx.Response):
        return _portable_response(value)
    return value


def _portable_response(response: httpx.Response) -> httpx.Response:
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
