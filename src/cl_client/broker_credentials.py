"""Who the client is for the broker: a fixed user name and password, or the token of its auth provider."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from pydantic import SecretStr

from cl_client.exceptions import ComputeClientError, ServerUnavailableError
from cl_client.mqtt_types import MQTTCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client.auth import AuthProvider
    from cl_client.config import ComputeClientConfig

_SECONDS_FOR_A_TOKEN = 30.0


def broker_credentials(
    config: ComputeClientConfig, provider: AuthProvider
) -> Callable[[], MQTTCredentials | None]:
    """A function for the connection's thread, which asks it for each connection; call this on the loop."""
    if not config.mqtt_use_token:
        if config.mqtt_username is None:
            return lambda: None
        fixed = MQTTCredentials(config.mqtt_username, config.mqtt_password or SecretStr(""))
        return lambda: fixed
    loop = asyncio.get_running_loop()

    def with_token() -> MQTTCredentials | None:
        preparing = provider.prepare()
        try:
            future = asyncio.run_coroutine_threadsafe(preparing, loop)
        except RuntimeError as exc:
            preparing.close()
            raise ServerUnavailableError("the event loop has ended") from exc
        try:
            future.result(_SECONDS_FOR_A_TOKEN)
        except (TimeoutError, CancelledError) as exc:
            future.cancel()
            raise ServerUnavailableError("no token for the broker came in time") from exc
        credentials = provider.mqtt_credentials()
        if credentials is None:
            raise ComputeClientError(
                "mqtt_use_token is on, but the auth provider has no user name and token for the broker"
            )
        return credentials

    return with_token
