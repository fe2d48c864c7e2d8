"""Auth providers: where a client gets its credentials."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from pydantic import SecretStr
from typing_extensions import override

from cl_client._core.single_flight import SingleFlight
from cl_client._core.validation import is_token
from cl_client._errors import ConfigurationError
from cl_client._mqtt.address import MQTTCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_UNAUTHORIZED: Final = 401


class AuthProvider(ABC):
    """Provides the credentials of a client. Can be shared between clients.

    A subclass must define only `get_headers`. Concurrent requests share one `refresh_token` call.
    """

    @abstractmethod
    def get_headers(self) -> dict[str, str]:
        """Get the headers for the next request. Must be fast and do no I/O.

        Returns:
            The headers, for instance ``Authorization``.
        """

    async def prepare(self) -> None:  # noqa: B027 - most providers have nothing to prepare
        """Prepare what `get_headers` returns; called before every request. Does nothing by default."""

    async def refresh_token(self) -> str | None:
        """Renew the credentials after a 401. Does nothing by default.

        Returns:
            The new token for other callers, or None; the client calls `get_headers` again.
        """
        return None

    def mqtt_credentials(self) -> MQTTCredentials | None:
        """Get the credentials for the MQTT broker. Must be fast and do no I/O.

        Returns:
            The credentials; None (the default) for none.
        """
        return None

    @cached_property
    def renewals(self) -> Renewals:
        """The shared renewals; not created in ``__init__``, which subclasses may not call."""
        return Renewals()


class NoAuthProvider(AuthProvider):
    """No credentials, for servers in guest mode."""

    @override
    def get_headers(self) -> dict[str, str]:
        return {}


class JWTAuthProvider(AuthProvider):
    """A fixed token.

    Args:
        token: The JWT from the auth service, without ``Bearer``.
        username: The user name; if given, the token is also the password for MQTT.

    Raises:
        ConfigurationError: The token is empty, or contains white space or non-ASCII characters.
    """

    def __init__(self, token: str | SecretStr, *, username: str | None = None) -> None:
        token = secret(token)
        if not is_token(token.get_secret_value()):
            raise ConfigurationError(
                "token: must be one word of printable ASCII, not empty and without white space"
            )
        self._token = token
        self._username = username

    @override
    def get_headers(self) -> dict[str, str]:
        return bearer(self._token)

    @override
    def mqtt_credentials(self) -> MQTTCredentials | None:
        return None if self._username is None else MQTTCredentials(self._username, self._token)

    @override
    def __repr__(self) -> str:
        return "JWTAuthProvider(token=***)"


def secret(text: str | SecretStr) -> SecretStr:
    """Wrap a password or token so that no repr shows it.

    Args:
        text: The password or token.

    Returns:
        The wrapped text.
    """
    return SecretStr(text) if isinstance(text, str) else text


def bearer(token: SecretStr) -> dict[str, str]:
    """Make the ``Authorization`` header of a token.

    Args:
        token: The token.

    Returns:
        The header by name.
    """
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


class Renewals:
    """The renewals of one provider: at most one at a time on each event loop.

    Attributes:
        count: The number of successful renewals.
    """

    def __init__(self) -> None:
        self.count = 0
        self._running: WeakKeyDictionary[asyncio.AbstractEventLoop, SingleFlight[None]] = WeakKeyDictionary()

    async def after(self, seen: int, renew: Callable[[], Coroutine[None, None, object]]) -> None:
        """Renew the credentials, unless that was done since the caller read ``count``.

        Args:
            seen: The count when the refused credentials were used.
            renew: Renews the credentials, or raises.
        """

        async def renew_and_say_so() -> bool:
            await renew()
            return True

        while self.count == seen:
            await self.attempt(renew_and_say_so)
            # The attempt may have been started by another caller and have failed. All its waiters must resume
            # before the next attempt starts, or they would join the failed one again.
            await asyncio.sleep(0)

    async def attempt(self, renew: Callable[[], Coroutine[None, None, bool]]) -> None:
        """Join the running renewal, or start one. It is cancelled if no caller waits for it.

        Args:
            renew: Renews the credentials, and returns whether it succeeded.
        """

        async def counted() -> None:
            if await renew():
                self.count += 1

        shared = self._running.setdefault(asyncio.get_running_loop(), SingleFlight[None]())
        await shared.get("", counted)
