"""Server outages: how to detect one, and how to wait until it ends."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from cl_client import MQTT_OFF
from cl_client.exceptions import (
    HTTPError,
    InvalidResponseError,
    RequestTimeoutError,
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
)
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from cl_client import ComputeClient
    from cl_client_cli.frame.terminal import Terminal

ResultT = TypeVar("ResultT")

PAUSES: Final = wait_random_exponential(0.5, max=30.0)
"""Pauses between retries, in seconds."""
_QUESTION_PAUSES: Final = wait_random_exponential(0.5, max=5.0)
_QUIET_SECONDS: Final = 3.0
"""After so long without any response, the server's health is checked."""
_ANSWER_SECONDS: Final = 5.0
_TROUBLE_SECONDS: Final = 60.0
"""A problem of a reachable server is reported again after so long."""
_SILENT: Final = (ServerUnavailableError, ServerBusyError, ServerError, InvalidResponseError)
"""Errors without a usable answer; the last one is what a gateway's error page looks like."""
_FROM_GATEWAYS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})


class ServerStaysAwayError(ServerUnavailableError):
    """The server was unreachable for longer than the limit."""


def is_away(error: BaseException | None) -> bool:
    """Check whether an error means that the server is unreachable, also behind a gateway.

    Args:
        error: The error; None for no error.

    Returns:
        Whether it is.
    """
    if isinstance(error, ServerError):
        return error.status_code in _FROM_GATEWAYS
    return isinstance(error, ServerUnavailableError)


def is_outage(error: BaseException | None) -> bool:
    """Check whether an error means that the server is unreachable or busy, not that the request is invalid.

    Args:
        error: The error; None for no error.

    Returns:
        Whether it is.
    """
    return is_away(error) or isinstance(error, ServerBusyError)


def check_give_up_after(seconds: float) -> None:
    """Check the option ``--give-up-after``; Cyclopts accepts any number.

    Args:
        seconds: Its value.

    Raises:
        UsageError: It is negative, or not a number.
    """
    if not seconds >= 0:
        raise UsageError(f"--give-up-after {seconds:g}: must be at least 0 seconds")


@dataclass(slots=True)
class Outages:
    """Detects that a server is unreachable, and waits until it is back: one task checks, the others wait.

    Attributes:
        client: The client.
        terminal: Where outages are reported.
        give_up_after: How many seconds the server may be unreachable.
        waits_at_first: Whether to wait also for a server that has never responded.
    """

    client: ComputeClient
    terminal: Terminal
    give_up_after: float
    waits_at_first: bool = True
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _moved_at: float = 0.0
    _was_there: bool = False
    _trouble_told_at: float = -math.inf

    def moved(self) -> None:
        """Note that bytes were sent, perhaps only to a gateway, or received: no check is needed now."""
        self._moved_at = asyncio.get_running_loop().time()

    def heard(self) -> None:
        """Note that the server itself has responded."""
        self._was_there = True
        self.moved()

    async def watch(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        """Run work to its end, and check now and then whether the server is reachable.

        Jobs survive restarts of their server, so waiting for a job raises no error when the server goes away.

        Args:
            work: The work.

        Returns:
            The result of the work.

        Raises:
            ServerStaysAwayError: The server was unreachable for too long. The work was cancelled, and has
                ended.
        """
        working, looking = asyncio.create_task(work), asyncio.create_task(self._look())
        try:
            await asyncio.wait([working, looking], return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else looking.result()
        finally:
            working.cancel()
            looking.cancel()
            await asyncio.gather(working, looking, return_exceptions=True)

    async def through(self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Call something that can be repeated, until it meets no outage.

        Args:
            call: Makes one call.

        Returns:
            The result of the call.

        Raises:
            ServerStaysAwayError: The server was unreachable for too long.
            HTTPError: The server was busy for too long, or rejects the call.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_outage),
            wait=PAUSES,
            stop=self.has_waited_enough,
            before_sleep=self._wait_after,
            reraise=True,
        )
        return await retrying(call)

    def has_waited_enough(self, state: RetryCallState) -> bool:
        """Check whether a call has met outages for too long.

        Args:
            state: The state of its retries.

        Returns:
            Whether it has.
        """
        return state.idle_for >= self.give_up_after

    async def wait(self, error: BaseException, *, was_asked: bool = False) -> None:
        """Wait until the server's health check succeeds.

        Args:
            error: The error that was met.
            was_asked: Whether that error is the result of a health check.

        Raises:
            ServerStaysAwayError: The server stays unreachable for too long.
            ServerUnavailableError: The server has never responded, and `waits_at_first` is not set.
            ServerError: The same, as reported by a gateway.
        """
        if is_away(error) and not self._is_expected:
            raise error
        if self.give_up_after <= 0:
            if is_away(error):
                raise ServerStaysAwayError(str(error)) from error
            return  # it is reachable, if busy
        waited_for = self._asking.locked()
        async with self._asking:
            if waited_for:
                return  # another task has waited, and the server is back
            if not was_asked and await self._is_there():
                self._tell_trouble(error)
            else:
                await self._wait_for_answer(error)
            self.heard()

    async def _is_there(self) -> bool:
        try:
            await self._ask()
        except _SILENT:
            return False
        except HTTPError:
            pass  # it responds; the jobs will meet the same error
        return True

    async def _wait_for_answer(self, error: BaseException) -> None:
        self.terminal.say(f"The server does not respond ({error}); waiting until it is back ...")
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_SILENT),
            wait=self._pause,
            stop=stop_after_delay(self.give_up_after),
        )
        try:
            await retrying(self._ask)
        except RetryError:
            words = f"{error} (waited {self.give_up_after:g} s for the server)"
            raise ServerStaysAwayError(words) from error
        except HTTPError:
            pass  # it responds
        self.terminal.say("The server is back.")

    def _tell_trouble(self, error: BaseException) -> None:
        """Report a problem of a reachable server, but not too often, as it may last long."""
        now = asyncio.get_running_loop().time()
        if now - self._trouble_told_at >= _TROUBLE_SECONDS:
            self._trouble_told_at = now
            self.terminal.say(f"The server is reachable, but: {error}. Retrying ...")

    async def _wait_after(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            await self.wait(error)

    def _pause(self, state: RetryCallState) -> float:
        """The pause before the next check; the last check is made when the time is up."""
        left = self.give_up_after - (state.seconds_since_start or 0.0)
        return max(0.0, min(_QUESTION_PAUSES(state), left))

    @property
    def _is_expected(self) -> bool:
        return self.waits_at_first or self._was_there

    async def _look(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        self._moved_at = loop.time()
        while True:
            quiet = loop.time() - self._moved_at
            if quiet < _QUIET_SECONDS:
                await asyncio.sleep(_QUIET_SECONDS - quiet)
                continue
            try:
                await self._ask()
            except (HTTPError, ServerUnavailableError, InvalidResponseError) as exc:
                if is_away(exc) and self._is_expected:  # otherwise the work itself will meet it
                    await self.wait(exc, was_asked=True)
                self._moved_at = loop.time()
            else:
                self.heard()

    async def _ask(self) -> None:
        """Check the server's health once, over a new connection; raise what is wrong with the answer."""
        from cl_client import ComputeClient

        config = self.client.config.replace(max_retries=0, mqtt_broker=MQTT_OFF)
        try:
            async with ComputeClient(config=config) as client, asyncio.timeout(_ANSWER_SECONDS):
                await client.health()
        except TimeoutError as exc:
            if isinstance(exc, ServerUnavailableError):
                raise
            words = f"{config.base_url} did not answer the health check within {_ANSWER_SECONDS:g} s."
            raise RequestTimeoutError(words) from exc
