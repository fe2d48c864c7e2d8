"""Who the client is: providers of credentials, and how they plug into httpx."""

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
    """Gives the headers that prove who the client is. Can be shared between clients.

    A subclass needs `get_headers` alone. While one `refresh_token` is under way, whoever else needs it waits
    for that one.
    """

    @abstractmethod
    def get_headers(self) -> dict[str, str]:
        """The headers for the next request; cheap, and without I/O."""

    async def prepare(self) -> None:  # noqa: B027 - having nothing to prepare is the normal case
        """See to it that `get_headers` has something to give; called before every request.

        By default there is nothing to do.
        """

    async def refresh_token(self) -> str | None:
        """Renew what `get_headers` gives, after a 401. By default there is nothing to renew.

        Returns:
            The new token, for callers of one's own, or None: the client asks `get_headers` again.
        """
        return None

    def mqtt_credentials(self) -> MQTTCredentials | None:
        """What to show to the broker; cheap, and without I/O. By default nothing."""
        return None

    @cached_property
    def renewals(self) -> Renewals:
        """What lets one renewal serve all that wait; not made in an ``__init__`` that subclasses forget."""
        return Renewals()


class NoAuthProvider(AuthProvider):
    """For servers in guest mode."""

    @override
    def get_headers(self) -> dict[str, str]:
        return {}


class JWTAuthProvider(AuthProvider):
    """A fixed token.

    Args:
        token: The JWT as the auth service gave it, without ``Bearer``.
        username: Whose it is; with it, the token also is the password for MQTT.

    Raises:
        ConfigurationError: The token is empty, or holds white space or what is not printable ASCII.
    """

    def __init__(self, token: str | SecretStr, *, username: str | None = None) -> None:
        token = secret(token)
        if not is_token(token.get_secret_value()):
            raise ConfigurationError(
                "A token is one word of ASCII letters, digits and signs; this one is empty, or holds "
                "white space or another character"
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
    """A password or token as one that no repr shows."""
    return SecretStr(text) if isinstance(text, str) else text


def bearer(token: SecretStr) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


class Renewals:
    """The renewals of one provider: at most one at a time on each event loop.

    Attributes:
        count: How many have succeeded.
    """

    def __init__(self) -> None:
        self.count = 0
        self._running: WeakKeyDictionary[asyncio.AbstractEventLoop, SingleFlight[None]] = WeakKeyDictionary()

    async def after(self, seen: int, renew: Callable[[], Coroutine[None, None, object]]) -> None:
        """Renew, unless that was done since ``count`` was what the caller has seen.

        Args:
            seen: The count when the refused credentials were taken.
            renew: Renews them, or raises.
        """

        async def renew_and_say_so() -> bool:
            await renew()
            return True

        while self.count == seen:
            await self.attempt(renew_and_say_so)
            # It may have been one that somebody else began, and ended without success. All who waited for it
            # have to be told before the next one begins, or it would be joined once more.
            await asyncio.sleep(0)

    async def attempt(self, renew: Callable[[], Coroutine[None, None, bool]]) -> None:
        """Join the renewal that is under way, or begin one; it ends with the last one who waits for it.

        Args:
            renew: Whether it has renewed the credentials.
        """

        async def counted() -> None:
            if await renew():
                self.count += 1

        shared = self._running.setdefault(asyncio.get_running_loop(), SingleFlight[None]())
        await shared.get("", counted)
