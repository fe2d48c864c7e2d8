"""The HTTP side: one connection pool, bounded calls, retries, and errors that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import TYPE_CHECKING, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from cl_client.auth import ProviderAuth
from cl_client.exceptions import InvalidResponseError, ServerBusyError, ServerError, ServerUnavailableError
from cl_client.http_errors import error_for, translated
from cl_client.tls import make_ssl_context

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from cl_client.auth import AuthProvider
    from cl_client.config import ComputeClientConfig

logger = logging.getLogger("cl_client.http")

ModelT = TypeVar("ModelT", bound=BaseModel)

_TOO_MANY_REQUESTS = 429
_GATEWAY_ERRORS = frozenset({502, 504})
_backoff = wait_random_exponential(multiplier=0.2, max=10)


def can_repeat(error: BaseException) -> bool:
    """Whether a read or delete that met this error is worth another try."""
    if isinstance(error, ServerError):
        return error.status_code in _GATEWAY_ERRORS
    return isinstance(error, ServerUnavailableError | ServerBusyError)


def was_not_taken(error: BaseException) -> bool:
    """Whether it is certain that the server did not take a submit, so that it may be sent again."""
    if isinstance(error, ServerBusyError):
        return error.status_code == _TOO_MANY_REQUESTS
    return isinstance(error, ServerUnavailableError) and isinstance(
        error.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    )


def pause_before_retry(state: RetryCallState) -> float:
    """The server's own wish where it has one, else exponential backoff with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ServerBusyError) else None
    return asked if asked is not None else _backoff(state)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.info("attempt %d failed, trying again: %s", state.attempt_number, error)


class HTTPService:
    """Requests to the compute service; belongs to one event loop.

    Calls wait for their turn here and not in httpx's pool, whose slots leak when waiting calls are cancelled.
    """

    def __init__(self, config: ComputeClientConfig, provider: AuthProvider) -> None:
        self._config = config
        self._turns = asyncio.Semaphore(config.pool_maxsize)
        self._client = httpx.AsyncClient(
            base_url=config.base_url,
            auth=ProviderAuth(provider),
            timeout=httpx.Timeout(config.timeout),
            verify=_ssl_context(config),
            limits=httpx.Limits(
                # Above the number of turns, so that a slot that is just closing holds up nobody.
                max_connections=config.pool_maxsize + 8,
                max_keepalive_connections=config.pool_size,
            ),
        )
        # The URL without credentials, for messages.
        self._shown_url = str(self._client.base_url.copy_with(username=None, password=None)).rstrip("/")

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def get(self, path: str, model: type[ModelT]) -> ModelT:
        """Read a JSON document into a model, with retries."""
        return parse(model, await self.request("GET", path))

    async def request(self, method: str, path: str) -> httpx.Response:
        """A request that may be repeated.

        Raises:
            HTTPError: The server answered with an error status.
            ServerUnavailableError: It could not be reached.
        """
        async for attempt in self._retrying(can_repeat):
            with attempt:
                return await self._send(self._client.build_request(method, path))
        raise AssertionError  # tenacity re-raises the last error

    async def submit(
        self, path: str, stream: httpx.AsyncByteStream, headers: dict[str, str]
    ) -> httpx.Response:
        """Send a body once; again only when it is certain that the server did not take it."""
        async for attempt in self._retrying(was_not_taken):
            with attempt:
                request = self._client.build_request("POST", path, headers=headers)
                return await self._send(
                    httpx.Request(
                        request.method,
                        request.url,
                        headers=request.headers,
                        stream=stream,
                        extensions=request.extensions,
                    )
                )
        raise AssertionError  # tenacity re-raises the last error

    @contextlib.asynccontextmanager
    async def stream(self, path: str) -> AsyncGenerator[httpx.Response]:
        """A successful answer whose body is still to be read."""
        async with self._turns:
            with translated(self._shown_url):
                async with self._client.stream("GET", path) as response:
                    if response.is_error:
                        await response.aread()
                        raise error_for(response)
                    yield response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        async with self._turns:
            with translated(self._shown_url):
                response = await self._client.send(request)
        if response.is_error:
            raise error_for(response)
        return response

    def _retrying(self, repeatable: Callable[[BaseException], bool]) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception(repeatable),
            stop=stop_after_attempt(self._config.max_retries + 1),
            wait=pause_before_retry,
            before_sleep=_log_retry,
            reraise=True,
        )


def _ssl_context(config: ComputeClientConfig) -> ssl.SSLContext:
    if config.base_url.startswith("https:"):
        return make_ssl_context(config)
    # Never used, as redirects are not followed; loading the system's authorities would hold up the loop.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def parse(model: type[ModelT], response: httpx.Response) -> ModelT:
    """The body as a model.

    Raises:
        InvalidResponseError: It is not JSON, or not of that shape.
    """
    try:
        return model.model_validate_json(response.content)
    except ValidationError as exc:
        path = response.request.url.path
        raise InvalidResponseError(f"{path}: not a {model.__name__} but {response.text[:120]!r}") from exc
