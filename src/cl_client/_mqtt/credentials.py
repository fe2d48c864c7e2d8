"""Credentials for the broker: a fixed user name and password, or the token of the auth provider."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import TYPE_CHECKING

from pydantic import SecretStr
from typing_extensions import override

from cl_client._errors import ComputeClientError
from cl_client._http_errors import ServerUnavailableError
from cl_client._mqtt.address import MQTTCredentials

if TYPE_CHECKING:
    from cl_client._auth.providers import AuthProvider
    from cl_client.config import ComputeClientConfig

_SECONDS_FOR_A_TOKEN = 30.0


class BrokerCredentials:
    """Credentials that the connection's thread requests for each connection.

    Args:
        fixed: The user name and password; None if the broker requires none.
    """

    def __init__(self, fixed: MQTTCredentials | None = None) -> None:
        self._fixed = fixed

    def __call__(self) -> MQTTCredentials | None:
        """Get the current credentials; called in the thread, which it may block.

        Returns:
            The credentials; None if the broker requires none.

        Raises:
            ComputeClientError: Credentials are required, but not available.
        """
        return self._fixed

    def cancel(self) -> None:
        """End the thread's wait for credentials; may be called in any thread."""

    async def close(self) -> None:
        """Cancel, and wait until no request is running; called on the event loop of the credentials."""


class TokenCredentials(BrokerCredentials):
    """The token of an auth provider, requested on the event loop for the connection's thread.

    Args:
        provider: Source of the token.
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
            raise ServerUnavailableError(
                f"waiting for a broker token timed out after {_SECONDS_FOR_A_TOKEN:g} s"
            ) from exc
        credentials = self._provider.mqtt_credentials()
        if credentials is None:
            raise ComputeClientError(
                "mqtt_use_token is on, but the auth provider returned no user name and token for the broker"
            )
        return credentials

    def _ask(self) -> Future[None]:
        preparing = self._prepare()
        with self._lock, contextlib.suppress(RuntimeError):  # the loop was closed
            if not self._closed:
                self._asked = asyncio.run_coroutine_threadsafe(preparing, self._loop)
                return self._asked
        preparing.close()
        raise ServerUnavailableError("the event loop or the client is closed")

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
        # Cancelling it would call the closed loop.
        with contextlib.suppress(InvalidStateError):
            asked.set_exception(ServerUnavailableError("the event loop is closed"))

    @override
    async def close(self) -> None:
        self.cancel()
        task = self._task
        if task is not None:
            await asyncio.wait([task])


def broker_credentials(config: ComputeClientConfig, provider: AuthProvider) -> BrokerCredentials:
    """Create the credentials for the broker; must be called on the event loop.

    Args:
        config: Settings with the broker's user name and password, or ``mqtt_use_token``.
        provider: Auth provider, for ``mqtt_use_token``.

    Returns:
        The source of credentials for the connection's thread.
    """
    if config.mqtt_use_token:
        return TokenCredentials(provider)
    if config.mqtt_username is None:
        return BrokerCredentials()
    return BrokerCredentials(MQTTCredentials(config.mqtt_username, config.mqtt_password or SecretStr("")))
