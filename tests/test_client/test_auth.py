"""Providers as they are written and given to a client; `tests/test_auth` has what they do to requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from pydantic import SecretStr
from typing_extensions import override

from cl_client import AuthClient, AuthenticationError, ComputeClient, ConfigurationError, MQTTCredentials
from cl_client.auth import AuthProvider, JWTAuthProvider, NoAuthProvider
from cl_client.local import LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenOfItsOwn(AuthProvider):
    """One whose renewal returns the new token, which nobody has to use."""

    def __init__(self, token: str, next_token: str) -> None:
        self.token = token
        self._next_token = next_token

    @override
    def get_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @override
    async def refresh_token(self) -> str:
        self.token = self._next_token
        return self.token


async def test_providers_that_have_nothing_to_renew() -> None:
    assert NoAuthProvider().get_headers() == {}
    assert await NoAuthProvider().refresh_token() is None
    provider = JWTAuthProvider(token="a.b.c")
    assert provider.get_headers() == {"Authorization": "Bearer a.b.c"}
    assert await provider.refresh_token() is None
    assert "a.b.c" not in repr(provider)


def test_a_provider_needs_headers_alone() -> None:
    class Nothing(AuthProvider):
        """It forgets what it is for."""

    with pytest.raises(TypeError, match="get_headers"):
        cast("Callable[[], AuthProvider]", Nothing)()


async def test_a_token_opens_the_server_and_a_wrong_one_does_not() -> None:
    async with LocalServer(auth=True, workers=1, tasks=["hash"]) as server:
        async with AuthClient(server.auth_url) as auth:
            token = (await auth.login("admin", "admin")).access_token.get_secret_value()
        providers = (JWTAuthProvider(token=token), TokenOfItsOwn("wrong", token))
        for provider in providers:
            async with ComputeClient(
                server.base_url, mqtt_broker=server.mqtt_url, auth_provider=provider
            ) as client:
                assert (await client.hash.compute(b"x", wait=True)).status == "completed"
        for refused in (NoAuthProvider(), JWTAuthProvider(token="wrong")):
            async with ComputeClient(server.base_url, mqtt_broker="off", auth_provider=refused) as client:
                with pytest.raises(AuthenticationError):
                    await client.hash.compute(b"x", wait=True)


def test_a_token_is_one_word() -> None:
    for token in ("", "two words", "line\nbreak"):
        with pytest.raises(ConfigurationError, match="one word"):
            JWTAuthProvider(token)


def test_what_the_broker_is_shown() -> None:
    assert NoAuthProvider().mqtt_credentials() is None
    assert JWTAuthProvider("token").mqtt_credentials() is None
    shown = JWTAuthProvider(SecretStr("token"), username="me").mqtt_credentials()
    assert shown == MQTTCredentials("me", SecretStr("token"))
