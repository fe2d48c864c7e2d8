"""Outages of the server: what counts as one, how it is noticed, and how its end is waited for."""

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
"""Before something is tried again."""
_QUESTION_PAUSES: Final = wait_random_exponential(0.5, max=5.0)
_QUIET_SECONDS: Final = 3.0
"""Without news for so long, the server is asked whether it is there."""
_ANSWER_SECONDS: Final = 5.0
_TROUBLE_SECONDS: Final = 60.0
"""What is wrong with a server that is there is said again after so long."""
_SILENT: Final = (ServerUnavailableError, ServerBusyError, ServerError, InvalidResponseError)
"""The last one is what a page of a gateway's looks like."""
_FROM_GATEWAYS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})


class ServerStaysAwayError(ServerUnavailableError):
    """The server was gone for longer than it may be."""


def is_away(error: BaseException | None) -> bool:
    """Whether an error is that of a server that is gone, or is not there behind its gateway."""
    if isinstance(error, ServerError):
        return error.status_code in _FROM_GATEWAYS
    return isinstance(error, ServerUnavailableError)


def is_outage(error: BaseException | None) -> bool:
    """Whether an error is that of a server that is gone or busy, rather than of what was asked of it."""
    return is_away(error) or isinstance(error, ServerBusyError)


def check_give_up_after(seconds: float) -> None:
    """Check what Cyclopts takes for any number.

    Raises:
        UsageError: It is below zero, or none.
    """
    if not seconds >= 0:
        raise UsageError(f"--give-up-after {seconds:g}: must be at least 0 seconds")


@dataclass(slots=True)
class Outages:
    """Notices that a server is gone, and waits for it to be there again; one asks, all wait.

    Attributes:
        client: The client.
        terminal: Where it is told.
        give_up_after: Seconds for which the server may be gone.
        waits_at_first: Whether to wait for one, too, of which nothing has been heard yet.
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
        """Something has been sent, be it to a gateway alone, or has come: nobody need ask now."""
        self._moved_at = asyncio.get_running_loop().time()

    def heard(self) -> None:
        """The server itself has said something: it is there."""
        self._was_there = True
        self.moved()

    async def watch(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        """Do work to its end, and ask the server now and then whether it is there.

        Jobs outlive restarts of their server, so whoever waits for one is not told that the server is gone.

        Raises:
            ServerStaysAwayError: It was gone for too long; the work was cancelled, and has ended.
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
        """Call something that may be repeated until it meets no outage.

        Raises:
            ServerStaysAwayError: The server was gone for too long.
            HTTPError: It was busy for too long, or has something against the call.
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
        """Whether a call has met outages for as long as it may."""
        return state.idle_for >= self.give_up_after

    async def wait(self, error: BaseException, *, was_asked: bool = False) -> None:
        """Wait until the server says that it is well.

        Args:
            error: What was met.
            was_asked: Whether it is the server's very answer to that question, or that there was none.

        Raises:
            ServerStaysAwayError: It does not say so in time.
            ServerUnavailableError: It never was there, and is not waited for.
            ServerError: The same, by its gateway's word.
        """
        if is_away(error) and not self._is_expected:
            raise error
        if self.give_up_after <= 0:
            if is_away(error):
                raise ServerStaysAwayError(str(error)) from error
            return  # it is there, however busy
        waited_for = self._asking.locked()
        async with self._asking:
            if waited_for:
                return  # whoever asked has got an answer
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
            pass  # it answers; what it has against this question, the jobs will hear
        return True

    async def _wait_for_answer(self, error: BaseException) -> None:
        self.terminal.say(f"The server does not answer ({error}); waiting for it ...")
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_SILENT),
            wait=self._pause,
            stop=stop_after_delay(self.give_up_after),
        )
        try:
            await retrying(self._ask)
        except RetryError:
            words = f"{error} (waited for it for {self.give_up_after:g} s)"
            raise ServerStaysAwayError(words) from error
        except HTTPError:
            pass  # it answers
        self.terminal.say("The server is back.")

    def _tell_trouble(self, error: BaseException) -> None:
        """Tell what is wrong with a server that is there: now and then, as it may take long."""
        now = asyncio.get_running_loop().time()
        if now - self._trouble_told_at >= _TROUBLE_SECONDS:
            self._trouble_told_at = now
            self.terminal.say(f"The server is there, but: {error}. Trying again ...")

    async def _wait_after(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            await self.wait(error)

    def _pause(self, state: RetryCallState) -> float:
        """The pause before the next question, which is the last one when the time is up."""
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
                if is_away(exc) and self._is_expected:  # else the work itself will meet it
                    await self.wait(exc, was_asked=True)
                self._moved_at = loop.time()
            else:
                self.heard()

    async def _ask(self) -> None:
        """Ask the server how it is: once, anew, and whatever else is under way.

        Raises:
            ServerUnavailableError: It does not answer.
            HTTPError: It has something against it.
            InvalidResponseError: Something else answers.
        """
        from cl_client import ComputeClient

        config = self.client.config.replace(max_retries=0, mqtt_broker=MQTT_OFF)
        try:
            async with ComputeClient(config=config) as client, asyncio.timeout(_ANSWER_SECONDS):
                await client.health()
        except TimeoutError as exc:
            if isinstance(exc, ServerUnavailableError):
                raise
            words = f"{config.base_url} does not say within {_ANSWER_SECONDS:g} s how it is."
            raise RequestTimeoutError(words) from exc
