"""The token as the password of the broker: push works with it, and goes on with the next token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client import ComputeClient, ComputeClientConfig, JWTAuthProvider
from cl_client._auth.password import PasswordAuthProvider
from cl_client.local import LocalServer
from patience import SECONDS, soon
from support import heard

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    with LocalServer(workers=1, tasks=["hash"], auth=True, mqtt_auth=True, token_lifetime=60) as server:
        yield server


def config_of(server: LocalServer, **settings: object) -> ComputeClientConfig:
    return ComputeClientConfig.create(base_url=server.base_url, mqtt_broker=server.mqtt_url, **settings)


async def test_the_token_is_the_password(server: LocalServer) -> None:
    provider = PasswordAuthProvider(server.auth_url, "admin", "admin")
    config = config_of(server, mqtt_use_token=True)
    async with ComputeClient(config=config, auth_provider=provider) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        assert (await client.hash.compute(b"x", wait=True)).status == "completed"


async def test_a_token_is_not_shown_to_a_broker_unasked(server: LocalServer) -> None:
    provider = PasswordAuthProvider(server.auth_url, "admin", "admin")
    with heard("cl_client.mqtt", "Not authorized") as refused:
        async with ComputeClient(config=config_of(server), auth_provider=provider) as client:
            assert (await client.hash.compute(b"x", wait=True)).status == "completed"
            await soon(refused.wait())
            assert not client.mqtt_monitor.is_connected


async def test_a_provider_without_a_user_name(server: LocalServer) -> None:
    provider = JWTAuthProvider(server.issue_token())
    config = config_of(server, mqtt_use_token=True)
    with heard("cl_client.mqtt", "returned no user name and token for the broker") as said:
        async with ComputeClient(config=config, auth_provider=provider) as client:
            assert (await client.hash.compute(b"x", wait=True)).status == "completed"
            await soon(said.wait())


async def test_a_fixed_user_name_and_a_token_as_its_password(server: LocalServer) -> None:
    token = server.issue_token()
    config = config_of(server, mqtt_username="admin", mqtt_password=token)
    async with ComputeClient(config=config, auth_provider=JWTAuthProvider(token)) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)


async def test_a_provider_that_fails_once_is_asked_again(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Vault(JWTAuthProvider):
        asked = 0

        @override
        async def prepare(self) -> None:
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("the vault is sealed")

    provider = Vault(server.issue_token(), username="admin")
    async with ComputeClient(config=config_of(server, mqtt_use_token=True), auth_provider=provider) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
    assert "No MQTT connection" in caplog.text
    assert "the vault is sealed" in caplog.text
