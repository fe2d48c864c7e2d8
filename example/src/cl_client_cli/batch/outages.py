"""Outages of a batch's server: what counts as one, and how its end is waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from cl_client.exceptions import (
    HTTPError,
    InvalidResponseError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
)

if TYPE_CHECKING:
    from cl_client import ComputeClient
    from cl_client_cli.frame.terminal import Terminal

PAUSES: Final = wait_random_exponential(0.5, max=30.0)
"""Before something is tried again."""
_SILENT: Final = (ServerUnavailableError, ServerBusyError, ServerError, InvalidResponseError)
"""The last one is what a page of a gateway's looks like."""
_FROM_GATEWAYS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})


def is_outage(error: Exception | None) -> bool:
    """Whether an error is that of a server that is gone or busy, rather than of what was asked of it."""
    if isinstance(error, ServerError):
        return error.status_code in _FROM_GATEWAYS
    return isinstance(error, ServerUnavailableError | ServerBusyError)


@dataclass(slots=True)
class Outages:
    """Waits for a server to be there again; one asks, all wait.

    Attributes:
        client: The client.
        terminal: Where it is told.
        give_up_after: Seconds for which the server may be gone.
    """

    client: ComputeClient
    terminal: Terminal
    give_up_after: float
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def wait(self, error: Exception) -> None:
        """Wait until the server says that it is well.

        Raises:
            ServerUnavailableError: It does not say so in time.
        """
        if self.give_up_after <= 0:
            if isinstance(error, ServerUnavailableError):
                raise error
            return  # it is there, however busy
        waited_for = self._asking.locked()
        async with self._asking:
            if waited_for:
                return  # whoever asked has got an answer
            self.terminal.say(f"The server does not answer ({error}); trying again ...")
            retrying = AsyncRetrying(
                retry=retry_if_exception_type(_SILENT),
                wait=PAUSES,
                stop=stop_after_delay(self.give_up_after),
            )
            try:
                await retrying(self.client.health)
            except RetryError:
                raise ServerUnavailableError(str(error)) from error
            except HTTPError:
                pass  # it answers; what it has against this question, the jobs will hear
            self.terminal.say("The server answers again.")
