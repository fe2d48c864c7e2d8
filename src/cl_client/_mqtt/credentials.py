"""Who the client is for the broker: a fixed user name and password, or the token of its auth provider."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import TYPE_CHECKING

from pydantic import SecretStr
from typing_extensions import override

from cl_client._errors import ComputeClientError, ServerUnavailableError
from cl_client._mqtt.address import MQTTCredentials

if TYPE_CHECKING:
    from cl_client._auth.providers import AuthProvider
    from cl_client.config import ComputeClientConfig

_SECONDS_FOR_A_TOKEN = 30.0


class BrokerCredentials:
    """What the connection's thread asks for, for each connection.

    Args:
        fixed: What it is given; None where the broker asks for nothing.
    """

    def __init__(self, fixed: MQTTCredentials | None = None) -> None:
        self._fixed = fixed

    def __call__(self) -> MQTTCredentials | None:
        """The credentials of now; called in the thread, which it may block.

        Raises:
            ComputeClientError: There are none.
        """
        return self._fixed

    def cancel(self) -> None:
        """Let the thread wait no more; may be called in any thread."""

    async def close(self) -> None:
        """Cancel, and wait until nothing is under way; on the loop they belong to."""


class TokenCredentials(BrokerCredentials):
    """The token of an auth provider, got on the loop for the connection's thread.

    Args:
        provider: Whose token it is.
    """

    def __init__(self, provider: AuthProvider) -> None:
        super().__init__()
        self._provider = provider
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._closed = False
        self._asked: Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    @override
    def __call__(self) -> MQTTCredentials:
        asked = self._ask()
        try:
            asked.result(_SECONDS_FOR_A_TOKEN)
        except (TimeoutError, CancelledError) as exc:
            asked.cancel()
            raise ServerUnavailableError("no token for the broker came in time") from exc
        credentials = self._provider.mqtt_credentials()
        if credentials is None:
            raise ComputeClientError(
                "mqtt_use_token is on, but the auth provider has no user name and token for the broker"
            )
        return credentials

    def _ask(self) -> Future[None]:
        preparing = self._prepare()
        with self._lock, contextlib.suppress(RuntimeError):  # the loop was closed
            if not self._closed:
                self._asked = asyncio.run_coroutine_threadsafe(preparing, self._loop)
                return self._asked
        preparing.close()
        raise ServerUnavailableError("the event loop or the client has ended")

    async def _prepare(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._provider.prepare()
        finally:
            self._task = None

    @override
    def cancel(self) -> None:
        with self._lock:
            self._closed = True
            asked = self._asked
        if asked is None:
            return
        if not self._loop.is_closed():
            asked.cancel()
            return
        # To cancel it would be to speak to the loop.
        with contextlib.suppress(InvalidStateError):
            asked.set_exception(ServerUnavailableError("the event loop has ended"))

    @override
    async def close(self) -> None:
        self.cancel()
        task = self._task
        if task is not None:
            await asyncio.wait([task])


def broker_credentials(config: ComputeClientConfig, provider: AuthProvider) -> BrokerCredentials:
    """What a config says of the broker's credentials; call it on the loop."""
    if config.mqtt_use_token:
        return TokenCredentials(provider)
    if config.mqtt_username is None:
        return BrokerCredentials()
    return BrokerCredentials(MQTTCredentials(config.mqtt_username, config.mqtt_password or SecretStr("")))
