"""Single requests: each waits for a free connection, is sent once, and ends when the service closes."""

from __future__ import annotations

import asyncio
import contextlib
from copy import copy
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, TypedDict, cast

import httpx
from typing_extensions import override

from cl_client._core.telemetry import trace_headers
from cl_client._core.validation import server_of
from cl_client._errors import ClientClosedError, InvalidResponseError
from cl_client._http.auth_flow import ProviderAuth, own_headers
from cl_client._http.document import Document
from cl_client._http.errors import Asked, error_for, read_error, translated
from cl_client._http.transport import PooledTransport
from cl_client._http_errors import RequestTimeoutError, ServerUnavailableError
from cl_client._transfers.body import TOLD, BodyReader

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
    from typing import Self

    from typing_extensions import Unpack

    from cl_client._auth.providers import AuthProvider
    from cl_client.config import ComputeClientConfig

_METHOD: Final = "cl_client.method"
_EXTRA_HEADERS: Final = "cl_client.extra_headers"
_MAX_DOCUMENT_BYTES: Final = 64 * 1024**2


class Content(TypedDict, total=False):
    """Optional parts of a request."""

    params: Mapping[str, str | int] | None
    form: Mapping[str, str] | None
    body: httpx.AsyncByteStream
    headers: Mapping[str, str] | None


@lru_cache(maxsize=64)
def _url(text: str) -> httpx.URL:
    """Parse a URL; httpx would do it twice, and that is a third of what a request costs it."""
    return httpx.URL(text)


class _Cookies(httpx.Cookies):
    """httpx's cookies, which build two objects of urllib for a response, also for one that sets none."""

    @override
    def extract_cookies(self, response: httpx.Response) -> None:
        if "Set-Cookie" in response.headers:
            super().extract_cookies(response)


class _OwnClient(httpx.AsyncClient):
    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None,
        timeout: httpx.Timeout,
        before_sending: Callable[[httpx.Request], Awaitable[None]],
    ) -> None:
        super().__init__(transport=transport, timeout=timeout, event_hooks={"request": [before_sending]})
        self._cookies = _Cookies()


class RequestSender:
    """Sends requests without retries; belongs to one event loop.

    Calls wait for a free connection here, and not in httpx's pool, which loses slots when waiting calls are
    cancelled.

    Args:
        config: URLs and limits.
        provider: Source of the credentials.
        make_ssl_context: Creates the TLS context on first use; called in a thread.
        http_client: HTTP client to use instead of creating one; it is not closed.
        transport: Transport for the created client; closed together with it.

    Attributes:
        closed: Is set when the sender is closed.
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
        self._client = http_client or _OwnClient(self._pool, self._timeout, self._before_sending)
        self.closed = asyncio.Event()
        self._under_way: set[asyncio.Timeout] = set()
        self._answers: set[httpx.Response] = set()

    def with_config(self, config: ComputeClientConfig) -> Self:
        """Create a sender that shares the connections, with different timeouts, headers and retries.

        Args:
            config: Settings of the new sender, for the same server.

        Returns:
            The new sender.
        """
        sibling = copy(self)
        sibling._configure(config)  # noqa: SLF001 - of the same class
        return sibling

    def _configure(self, config: ComputeClientConfig) -> None:
        self._config = config
        self._timeout = config.request_timeout
        self._headers = own_headers(config)

    async def close(self) -> None:
        """Close all connections; of an ``http_client`` that was passed in, only those in use.

        Running calls raise `ClientClosedError`.
        """
        self.stop()
        for response in tuple(self._answers):
            await response.aclose()
        if self._owned:
            await self._client.aclose()

    def stop(self) -> None:
        """Stop all calls and open no new connections: the part of `close` that cannot be cancelled."""
        self.closed.set()
        while self._under_way:
            self._under_way.pop().reschedule(0.0)
        if isinstance(self._pool, PooledTransport):
            self._pool.abandon()

    def abandon(self) -> None:
        """Close all connections of the own pool after their event loop was closed."""
        self._under_way.clear()
        self._answers.clear()
        if isinstance(self._pool, PooledTransport):
            self._pool.abandon()

    async def send(
        self, method: str, path: str, asked: Asked = Asked.OTHER, **content: Unpack[Content]
    ) -> Document:
        """Send a request once, and read the whole response.

        Args:
            method: HTTP method.
            path: Path, relative to ``base_url``.
            asked: What the request is about; decides what a 404 means.
            **content: Query parameters, form, body or headers of the request.

        Returns:
            The response.

        Raises:
            HTTPError: The server answered with an error status.
            ServerUnavailableError: The server is unreachable.
            InvalidResponseError: The response is larger than 64 MiB.
        """
        async with self._until_closed():
            response = await self._answer(self._request(method, path, **content), asked)
            try:
                return Document(await BodyReader(path, response).read(_MAX_DOCUMENT_BYTES), response)
            finally:
                await self._done(response)

    @contextlib.asynccontextmanager
    async def stream(
        self,
        path: str,
        asked: Asked = Asked.OTHER,
        *,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> AsyncGenerator[httpx.Response]:
        """Send a GET request and stream the response, without retries.

        Args:
            path: Path, relative to ``base_url``.
            asked: What the request is about; decides what a 404 means.
            headers: Headers of the request.
            accept: Error statuses that do not raise an error.

        Yields:
            The response, whose body was not read yet.

        Raises:
            HTTPError: The server answered with an error status that is not in ``accept``.
            ServerUnavailableError: The server is unreachable, or the connection was lost.
        """
        # This does not cover the body: the caller reads it, and closing the client closes its connection.
        async with self._until_closed():
            response = await self._answer(self._request("GET", path, headers=headers), asked, accept)
        try:
            yield response
        finally:
            await self._done(response)

    def _request(self, method: str, path: str, **content: Unpack[Content]) -> httpx.Request:
        request = self._client.build_request(
            method,
            _url(f"{self._config.base_url}{path}"),
            params=content.get("params"),
            data=content.get("form"),
            content=content.get("body"),
            headers={**self._headers, **trace_headers(), **(content.get("headers") or {})},
            timeout=self._timeout,
        )
        if body := content.get("body"):  # httpx has wrapped it in a generator, which nobody could close
            request.stream = body
        request.extensions |= {_METHOD: method, _EXTRA_HEADERS: tuple(self._config.extra_headers)}
        return request

    async def _before_sending(self, request: httpx.Request) -> None:
        """Check each request before it is sent, including those that follow a redirect."""
        # A redirected request keeps the extensions of the first one. httpx itself removes ``Authorization``
        # when it redirects to a different server, but no other secret.
        if server_of(request.url) != self._server:
            extra = cast("tuple[str, ...]", request.extensions.get(_EXTRA_HEADERS, ()))
            for name in (*self._provider.get_headers(), *extra, "Authorization", "Cookie"):
                request.headers.pop(name, None)
        method = cast("str", request.extensions.get(_METHOD, request.method))
        if request.method != method:
            raise InvalidResponseError(
                f"{method}: redirected to {request.url.copy_with(query=None)}, which would lose the "
                "request body; set base_url to the service's own URL"
            )

    @contextlib.asynccontextmanager
    async def _until_closed(self) -> AsyncGenerator[None]:
        """End the code in the context when the service is closed: `close` makes its time limit expire."""
        if self.closed.is_set():
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
        """Send a request, and return the response when its headers have arrived; end it with `_done`."""
        await self._turn(request)
        try:
            # A client that was passed in has no hook that keeps secrets from other servers.
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
        # Errors of the body are converted where it is read: the caller's own code may raise others meanwhile.
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
            if self._turns.locked():
                async with asyncio.timeout(self._config.pool_timeout):
                    await self._turns.acquire()
            else:
                await self._turns.acquire()  # at once
        except TimeoutError:
            error = RequestTimeoutError(
                f"Waiting for a free connection to {self._config.base_url} timed out after "
                f"{self._config.pool_timeout:g} s: {self._config.pool_maxsize} requests are in progress; "
                "increase `pool_maxsize` or `pool_timeout`"
            )
            error.request, error.may_have_been_accepted = request, False
            raise error from None
        if self.closed.is_set():
            self._turns.release()
            raise ClientClosedError

    async def _done(self, response: httpx.Response) -> None:
        """Close a response, and let the next call start, even if closing is cancelled."""
        self._answers.discard(response)
        try:
            await response.aclose()
        finally:
            self._turns.release()

    def _told(self, exc: Exception, request: httpx.Request) -> Exception:
        """Convert an error to the one that the caller gets."""
        error = translated(exc, self._config.base_url, request)
        if isinstance(error, ServerUnavailableError) and self.closed.is_set():
            return ClientClosedError()  # the client itself closed the connection
        return error
