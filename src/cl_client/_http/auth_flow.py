"""What goes with every request to one server: headers, and an auth provider's credentials."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import httpx
from typing_extensions import override

from cl_client import __version__
from cl_client._core.validation import check_headers, server_of
from cl_client._errors import ConfigurationError
from cl_client._transfers.body import DECODABLE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from cl_client._auth.providers import AuthProvider
    from cl_client.config import ComputeClientConfig

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


def own_headers(config: ComputeClientConfig) -> dict[str, str]:
    """Those that the settings ask for."""
    headers = {"User-Agent": f"cl_client/{__version__}", "Accept-Encoding": DECODABLE}
    headers |= {name: value.get_secret_value() for name, value in config.extra_headers.items()}
    if config.http_username is not None:
        password = config.http_password.get_secret_value() if config.http_password else ""
        login = f"{config.http_username}:{password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    return headers
