"""Headers and credentials that are sent with every request to the server."""

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
    """An `AuthProvider` as an httpx auth flow: a 401 renews the credentials and repeats the request once.

    Credentials are sent to one server only. A request to a different server is sent without them, and a 401
    from it renews nothing. When httpx follows a redirect to a different server, it removes only the
    ``Authorization`` header.

    Args:
        provider: Source of the credentials.
        base_url: URL of the server that receives them.
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
        """Get the provider's headers. They are checked here, since HTTP libraries quote invalid ones."""
        headers = self._provider.get_headers()
        if headers != self._checked:
            try:
                check_headers(headers)
            except ValueError as exc:
                raise ConfigurationError(f"The auth provider's headers are invalid: {exc}") from None
            self._checked = dict(headers)
        return headers


def own_headers(config: ComputeClientConfig) -> dict[str, str]:
    """Create the headers that the settings require.

    Args:
        config: The settings.

    Returns:
        Headers by name, including HTTP Basic authentication if the settings have a user name.
    """
    headers = {"User-Agent": f"cl_client/{__version__}", "Accept-Encoding": DECODABLE}
    headers |= {name: value.get_secret_value() for name, value in config.extra_headers.items()}
    if config.http_username is not None:
        password = config.http_password.get_secret_value() if config.http_password else ""
        login = f"{config.http_username}:{password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    return headers
