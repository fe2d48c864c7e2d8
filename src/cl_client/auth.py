"""Who the client is: providers of credentials, and how they plug into httpx."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import httpx
from pydantic import SecretStr
from typing_extensions import override

from cl_client.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_UNAUTHORIZED = 401


class AuthProvider(ABC):
    """Gives the headers that prove who the client is. Can be shared between clients."""

    @abstractmethod
    def get_headers(self) -> dict[str, str]:
        """The headers for the next request; cheap, and without I/O."""

    async def refresh_token(self) -> None:  # noqa: B027 - having nothing to renew is the normal case
        """Renew what `get_headers` gives, after a 401. By default there is nothing to renew."""


class NoAuthProvider(AuthProvider):
    """For servers in guest mode."""

    @override
    def get_headers(self) -> dict[str, str]:
        return {}


class JWTAuthProvider(AuthProvider):
    """A fixed token.

    Args:
        token: The JWT as the auth service gave it, without ``Bearer``.

    Raises:
        ConfigurationError: The token is empty or holds white space.
    """

    def __init__(self, token: str) -> None:
        if not token or any(character.isspace() for character in token):
            raise ConfigurationError(
                "A token is one word without white space; this one is empty or holds some"
            )
        self._token = SecretStr(token)

    @override
    def get_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.get_secret_value()}"}

    @override
    def __repr__(self) -> str:
        return "JWTAuthProvider(token=***)"


class ProviderAuth(httpx.Auth):
    """An `AuthProvider` as httpx's own auth flow: a 401 refreshes once and replays the request."""

    def __init__(self, provider: AuthProvider) -> None:
        self._provider = provider

    @override
    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        headers = self._provider.get_headers()
        request.headers.update(headers)
        response = yield request
        if response.status_code != _UNAUTHORIZED:
            return
        await self._provider.refresh_token()
        renewed = self._provider.get_headers()
        if renewed != headers:
            request.headers.update(renewed)
            yield request
