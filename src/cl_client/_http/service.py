"""The HTTP side: one connection pool, bounded calls, retries, and errors that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final, TypedDict, TypeVar, cast

import httpx
from pydantic import BaseModel

from cl_client._core.deadlines import deadline
from cl_client._core.log import get_logger
from cl_client._core.telemetry import trace_headers
from cl_client._core.validation import server_of
from cl_client._errors import (
    ClientClosedError,
    ComputeClientError,
    HTTPError,
    InvalidResponseError,
    RequestTimeoutError,
    ServerUnavailableError,
)
from cl_client._http.auth_flow import ProviderAuth, own_headers
from cl_client._http.document import Document, parse
from cl_client._http.errors import (
    Asked,
    error_for,
    read_error,
    says_missing,
    translated,
)
from cl_client._http.retries import RetryRules, can_repeat, retried, was_not_accepted
from cl_client._http.transport import PooledTransport
from cl_client._transfers.body import TOLD, BodyReader

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
    from contextlib import AbstractAsyncContextManager

    from typing_extensions import Unpack

    from cl_client._auth.providers import AuthProvider
    from cl_client._core.deadlines import Limit
    from cl_client.config import ComputeClientConfig

logger = get_logger("cl_client.http")

ModelT = TypeVar("ModelT", bound=BaseModel)
ResultT = TypeVar("ResultT")

_METHOD: Final = "cl_client.method"
_EXTRA_HEADERS: Final = "cl_client.extra_headers"
_MAX_DOCUMENT_BYTES: Final = 64 * 1024**2


class _Content(TypedDict, total=False):
    """What a request may have besides its address."""

    params: Mapping[str, str | int] | None
    form: Mapping[str, str] | None
    body: httpx.AsyncByteStream
    headers: Mapping[str, str] | None


class HTTPService:
    """Requests to the compute service; belongs to one event loop.

    Calls wait for their turn here and not in httpx's pool, whose slots leak when waiting calls are cancelled.

    Args:
        config: Addresses, limits, retries.
        provider: Who the client is.
        make_ssl_context: Makes the TLS context when it is first needed; called in a thread.
        http_client: A client to use in place of an own one; it is not closed.
        transport: A transport for the own client; it is closed with it.
    """

    def __init__(
        self,
        config: ComputeClientConfig,
        provider: AuthProvider,
        make_ssl_context: Callable[[], ssl.SSLContext],
        *,
        http_client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._configure(config)
        self._turns = asyncio.Semaphore(config.pool_maxsize)
        self._server = server_of(httpx.URL(config.base_url))
        self._provider = provider
        self._auth = ProviderAuth(provider, config.base_url)
        self._owned = http_client is None
        self._pool = transport
        if transport is None and http_client is None:
            self._pool = PooledTransport(config, make_ssl_context)
        self._client = http_client or httpx.AsyncClient(
            transport=self._pool,
            timeout=self._timeout,
            event_hooks={"request": [self._before_sending]},
        )
        self._closed = asyncio.Event()
        self._under_way: set[asyncio.Timeout] = set()
        self._answers: set[httpx.Response] = set()

    def with_config(self, config: ComputeClientConfig) -> HTTPService:
        """The same connections, for requests with other timeouts, retries and headers."""
        sibling = copy(self)
        sibling._configure(config)  # noqa: SLF001 - of the same class
        return sibling

    def _configure(self, config: ComputeClientConfig) -> None:
        self._config = config
        self._timeout = config.request_timeout
        self._headers = own_headers(config)
        self._retries = RetryRules(config.max_retries, config.max_retry_wait)

    async def close(self) -> None:
        """Close every connection, but only those in use of a client that was given.

        Calls under way end in `ClientClosedError`.
        """
        self.stop()
        for response in tuple(self._answers):
            await response.aclose()
        if self._owned:
            await self._client.aclose()

    def stop(self) -> None:
        """The part of `close` that no cancellation can interrupt: nothing opens a connection from now on."""
        self._closed.set()
        while self._under_way:
            self._under_way.pop().reschedule(0.0)
        if isinstance(self._pool, PooledTransport):
            self._pool.abandon()

    def abandon(self) -> None:
        """Close every connection of the own pool, when the loop that they belong to is closed."""
        self._under_way.clear()
        self._answers.clear()
        if isinstance(self._pool, PooledTransport):
            self._pool.abandon()

    async def get(
        self, path: str, model: type[ModelT], asked: Asked = Asked.OTHER, *, quiet: bool = False
    ) -> ModelT:
        """Read a JSON document into a model, with retries; quiet where the caller warns of failures."""
        return parse(
            model, await self.retried(can_repeat, partial(self._send, "GET", path, asked), quiet=quiet)
        )

    async def get_once(self, path: str, model: type[ModelT], asked: Asked = Asked.OTHER) -> ModelT:
        """Read a JSON document into a model, without retries."""
        return parse(model, await self._send("GET", path, asked))

    async def delete(self, path: str, asked: Asked = Asked.OTHER) -> None:
        """Delete something, with retries.

        Args:
            path: Its path.
            asked: What it is.

        Raises:
            HTTPError: There is no such thing, and no attempt before can have deleted it; or another refusal.
        """
        perhaps_done = False

        async def attempt() -> None:
            nonlocal perhaps_done
            try:
                await self._send("DELETE", path, asked)
            except ComputeClientError as exc:
                if perhaps_done and isinstance(exc, HTTPError) and says_missing(exc.response):
                    return
                perhaps_done = perhaps_done or not was_not_accepted(exc)
                raise

        await self.retried(can_repeat, attempt)

    async def request(self, method: str, path: str, **content: Unpack[_Content]) -> Document:
        """A request that may be repeated.

        Raises:
            HTTPError: The server answered with an error status.
            ServerUnavailableError: It could not be reached.
            InvalidResponseError: Its answer is longer than 64 MiB.
        """
        return await self.retried(can_repeat, partial(self._send, method, path, **content))

    async def submit(self, path: str, body: httpx.AsyncByteStream, headers: Mapping[str, str]) -> Document:
        """Send a body once; again only when it is certain that the server did not take it."""
        return await self.retried(
            was_not_accepted, partial(self._send, "POST", path, body=body, headers=headers)
        )

    @contextlib.asynccontextmanager
    async def stream(
        self,
        path: str,
        asked: Asked = Asked.OTHER,
        *,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> AsyncGenerator[httpx.Response]:
        """An answer whose body is still to be read, without retries.

        Args:
            path: Below the service's address.
            asked: What is there.
            headers: Of the request.
            accept: Error statuses that are an answer, too.

        Raises:
            HTTPError: The server answered with another error status.
            ServerUnavailableError: It could not be reached, or the body broke off.
        """
        # Without the body, which is read in the midst of the caller's work, and ends with its connection.
        async with self._until_closed():
            response = await self._answer(self._request("GET", path, headers=headers), asked, accept)
        try:
            yield response
        finally:
            await self._done(response)

    def within(
        self, seconds: float | None, what: str, path: str, method: str = "GET"
    ) -> AbstractAsyncContextManager[Limit]:
        """The limit of a whole call, retries and pauses included; see `deadline`."""
        return deadline(seconds, what, f"{self._config.base_url}{path}", method)

    async def retried(
        self,
        repeatable: Callable[[Exception], bool],
        attempt: Callable[[], Awaitable[ResultT]],
        *,
        quiet: bool = False,
        progress: Callable[[], int] = int,
    ) -> ResultT:
        """Try something until it succeeds or is given up; pauses in between end when this is closed.

        Args:
            repeatable: Whether it may be tried again after this error.
            attempt: What to do.
            quiet: Whether the caller warns of failures.
            progress: How much is done; an attempt that brings more begins the count of attempts anew.
        """

        def log(error: Exception, failed: int, pause: float) -> None:
            level = logging.DEBUG if quiet or failed > 1 else logging.WARNING
            logger.log(level, "attempt %d failed, the next one is in %.1f s: %s", failed, pause, error)

        return await retried(attempt, repeatable, self._retries, log, sleep=self._pause, progress=progress)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def _request(self, method: str, path: str, **content: Unpack[_Content]) -> httpx.Request:
        request = self._client.build_request(
            method,
            f"{self._config.base_url}{path}",
            params=content.get("params"),
            data=content.get("form"),
            content=content.get("body"),
            headers={**self._headers, **trace_headers(), **(content.get("headers") or {})},
            timeout=self._timeout,
        )
        if body := content.get("body"):  # httpx has put a generator around it, which nobody could close
            request.stream = body
        request.extensions |= {_METHOD: method, _EXTRA_HEADERS: tuple(self._config.extra_headers)}
        return request

    async def _before_sending(self, request: httpx.Request) -> None:
        """Look at each request, also at those that follow a redirect, which belong to the same extensions.

        httpx itself drops ``Authorization`` on the way to another server, but knows of no other secrets.
        """
        if server_of(request.url) != self._server:
            extra = cast("tuple[str, ...]", request.extensions.get(_EXTRA_HEADERS, ()))
            for name in (*self._provider.get_headers(), *extra, "Authorization", "Cookie"):
                request.headers.pop(name, None)
        method = cast("str", request.extensions.get(_METHOD, request.method))
        if request.method != method:
            raise InvalidResponseError(
                f"{method}: redirected to {request.url.copy_with(query=None)} so that what is "
                "sent would get lost; set base_url to where the service is"
            )

    async def _send(
        self, method: str, path: str, asked: Asked = Asked.OTHER, **content: Unpack[_Content]
    ) -> Document:
        """One attempt, and the whole answer."""
        async with self._until_closed():
            response = await self._answer(self._request(method, path, **content), asked)
            try:
                return Document(await BodyReader(path, response).read(_MAX_DOCUMENT_BYTES), response)
            finally:
                await self._done(response)

    @contextlib.asynccontextmanager
    async def _until_closed(self) -> AsyncGenerator[None]:
        """What ends when this is closed, whatever it waits for: by a time limit that `close` lets expire."""
        if self._closed.is_set():
            raise ClientClosedError
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._under_way.add(limit)
                yield
        except TimeoutError:
            if limit.expired():
                raise ClientClosedError from None
            raise
        finally:
            self._under_way.discard(limit)

    async def _answer(
        self, request: httpx.Request, asked: Asked, accept: Collection[int] = ()
    ) -> httpx.Response:
        """An answer as soon as its head is there; it and its turn are given back by `_done`.

        Raises:
            HTTPError: It is a refusal.
        """
        await self._turn(request)
        try:
            # A client that was given has no hook that keeps secrets from another server.
            response = await self._client.send(
                request, stream=True, auth=self._auth, follow_redirects=self._owned
            )
        except BaseException as exc:
            self._turns.release()
            error = self._told(exc, request) if isinstance(exc, Exception) else exc
            if error is exc:
                raise
            raise error from exc
        self._answers.add(response)
        # Errors of the body are met where it is read: what is raised meanwhile is not of this server.
        response.extensions[TOLD] = partial(self._told, request=request)
        if response.is_success or response.status_code in accept:
            return response
        try:
            refusal = await read_error(response)
        finally:
            await self._done(response)
        raise error_for(refusal, asked)

    async def _turn(self, request: httpx.Request) -> None:
        try:
            async with asyncio.timeout(self._config.pool_timeout):
                await self._turns.acquire()
        except TimeoutError:
            error = RequestTimeoutError(
                f"No connection to {self._config.base_url} came free in {self._config.pool_timeout:g} s; "
                f"{self._config.pool_maxsize} requests are under way; raise `pool_maxsize` or `pool_timeout`"
            )
            error.request, error.may_have_been_accepted = request, False
            raise error from None
        if self._closed.is_set():
            self._turns.release()
            raise ClientClosedError

    async def _done(self, response: httpx.Response) -> None:
        """Close an answer, and let the next call have its turn, also where closing is cancelled."""
        self._answers.discard(response)
        try:
            await response.aclose()
        finally:
            self._turns.release()

    def _told(self, exc: Exception, request: httpx.Request) -> Exception:
        """The error that the caller is told of."""
        error = translated(exc, self._config.base_url, request)
        if isinstance(error, ServerUnavailableError) and self._closed.is_set():
            return ClientClosedError()  # it was this side that hung up
        return error
