"""An auth provider as httpx's auth flow: credentials for one server, and one renewal after a 401."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
from typing_extensions import override

from cl_client._core.validation import check_headers, server_of
from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from cl_client._auth.providers import AuthProvider

_UNAUTHORIZED: Final = 401


class ProviderAuth(httpx.Auth):
    """An `AuthProvider` as httpx's own auth flow: a 401 renews once and replays the request.

    Credentials go to one server only. A request to another one goes without them, and its 401 renews nothing.
    httpx takes the ``Authorization`` header off when it follows a redirect to another server, but no other.

    Args:
        provider: Who the client is.
        base_url: The server.
    """

    def __init__(self, provider: AuthProvider, base_url: str) -> None:
        self._provider = provider
        self._server = server_of(httpx.URL(base_url))
        self._checked: dict[str, str] = {}

    @override
    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        if server_of(request.url) != self._server:
            yield request
            return
        provider = self._provider
        await provider.prepare()
        given = request.headers.copy()
        seen, headers = provider.renewals.count, self._headers()
        request.headers.update(headers)
        response = yield request
        if response.status_code != _UNAUTHORIZED or server_of(response.request.url) != self._server:
            return
        await provider.renewals.after(seen, provider.refresh_token)
        renewed = self._headers()
        if renewed != headers:
            request.headers = given
            request.headers.update(renewed)
            yield request

    def _headers(self) -> dict[str, str]:
        """What the provider gives, found out to be sendable before an HTTP library would quote it."""
        headers = self._provider.get_headers()
        if headers != self._checked:
            try:
                check_headers(headers)
            except ValueError as exc:
                raise ConfigurationError(f"The auth provider's headers cannot be sent: {exc}") from None
            self._checked = dict(headers)
        return headers
