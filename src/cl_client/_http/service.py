"""The HTTP calls of the compute service: reads, submits and deletions, with retries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel
from typing_extensions import override

from cl_client._core.deadlines import deadline
from cl_client._core.log import get_logger
from cl_client._errors import ComputeClientError
from cl_client._http.document import Document, parse
from cl_client._http.errors import Asked, says_missing
from cl_client._http.retries import RetryRules, can_repeat, retried, was_not_accepted
from cl_client._http.sender import RequestSender
from cl_client._http_errors import HTTPError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    import httpx
    from typing_extensions import Unpack

    from cl_client._core.deadlines import Limit
    from cl_client._http.sender import Content
    from cl_client.config import ComputeClientConfig

logger = get_logger("cl_client.http")

ModelT = TypeVar("ModelT", bound=BaseModel)
ResultT = TypeVar("ResultT")


class HTTPService(RequestSender):
    """Sends requests to the compute service, and repeats them if needed; belongs to one event loop."""

    @override
    def _configure(self, config: ComputeClientConfig) -> None:
        super()._configure(config)
        self._retries = RetryRules(config.max_retries, config.max_retry_wait)

    async def get(
        self, path: str, model: type[ModelT], asked: Asked = Asked.OTHER, *, quiet: bool = False
    ) -> ModelT:
        """Read a JSON document into a model, with retries.

        Args:
            path: Path, relative to ``base_url``.
            model: Class of the model.
            asked: What the request is about; decides what a 404 means.
            quiet: Whether to log failed attempts at DEBUG, because the caller logs them.

        Returns:
            The model.
        """
        return parse(
            model, await self.retried(can_repeat, partial(self.send, "GET", path, asked), quiet=quiet)
        )

    async def get_once(self, path: str, model: type[ModelT], asked: Asked = Asked.OTHER) -> ModelT:
        """Read a JSON document into a model, without retries.

        Args:
            path: Path, relative to ``base_url``.
            model: Class of the model.
            asked: What the request is about; decides what a 404 means.

        Returns:
            The model.
        """
        return parse(model, await self.send("GET", path, asked))

    async def delete(self, path: str, asked: Asked = Asked.OTHER) -> None:
        """Delete something, with retries.

        Args:
            path: Path, relative to ``base_url``.
            asked: What is deleted; decides what a 404 means.

        Raises:
            HTTPError: It was not found, and no earlier attempt can have deleted it; or a different error.
        """
        perhaps_done = False

        async def attempt() -> None:
            nonlocal perhaps_done
            try:
                await self.send("DELETE", path, asked)
            except ComputeClientError as exc:
                if perhaps_done and isinstance(exc, HTTPError) and says_missing(exc.response):
                    return
                perhaps_done = perhaps_done or not was_not_accepted(exc)
                raise

        await self.retried(can_repeat, attempt)

    async def request(self, method: str, path: str, **content: Unpack[Content]) -> Document:
        """Send a request that may be repeated, with retries.

        Args:
            method: HTTP method.
            path: Path, relative to ``base_url``.
            **content: Query parameters, form, body or headers of the request.

        Returns:
            The response.

        Raises:
            HTTPError: The server answered with an error status.
            ServerUnavailableError: The server is unreachable.
            InvalidResponseError: The response is larger than 64 MiB.
        """
        return await self.retried(can_repeat, partial(self.send, method, path, **content))

    async def submit(self, path: str, body: httpx.AsyncByteStream, headers: Mapping[str, str]) -> Document:
        """Send a job; repeat that only if the server certainly did not accept it.

        Args:
            path: Path, relative to ``base_url``.
            body: Body of the request.
            headers: Headers of the request.

        Returns:
            The response.
        """
        return await self.retried(
            was_not_accepted, partial(self.send, "POST", path, body=body, headers=headers)
        )

    def within(
        self, seconds: float | None, what: str, path: str, method: str = "GET"
    ) -> AbstractAsyncContextManager[Limit]:
        """Limit the time of a whole call, including retries and pauses; see `deadline`.

        Args:
            seconds: Time limit in seconds, above 0; None for no limit.
            what: What is limited, as the start of the error's sentence.
            path: Path of the request, relative to ``base_url``.
            method: HTTP method of the request.

        Returns:
            A context in which the call runs.
        """
        return deadline(seconds, what, f"{self._config.base_url}{path}", method)

    async def retried(
        self,
        repeatable: Callable[[Exception], bool],
        attempt: Callable[[], Awaitable[ResultT]],
        *,
        quiet: bool = False,
        progress: Callable[[], int] = int,
    ) -> ResultT:
        """Call a function until it succeeds, or until the retries are used up.

        Closing the service ends a pause between the attempts.

        Args:
            repeatable: Decides whether it may be called again after an error.
            attempt: Function to call.
            quiet: Whether to log failed attempts at DEBUG, because the caller logs them.
            progress: Returns how much is done; if an attempt makes progress, the count of attempts restarts.

        Returns:
            The result of the successful attempt.
        """

        def log(error: Exception, failed: int, pause: float) -> None:
            level = logging.DEBUG if quiet or failed > 1 else logging.WARNING
            logger.log(level, "attempt %d failed, retrying in %.1f s: %s", failed, pause, error)

        return await retried(attempt, repeatable, self._retries, log, sleep=self._pause, progress=progress)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.closed.wait()
