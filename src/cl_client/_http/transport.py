"""The transport for httpx: httpcore's connections in a connection pool that loses none.

httpcore's own pool loses slots when a request is cancelled, especially twice in a row. Here a connection is
in use, idle, or closed immediately, and `RequestSender` limits the number of concurrent calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx
from typing_extensions import override

from cl_client._core.threads import in_thread
from cl_client._core.validation import check_proxy
from cl_client._errors import ConfigurationError, MissingExtraError
from cl_client._http.network import Network

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from cl_client.config import ComputeClientConfig

    class _Release(Protocol):
        def __call__(self, *, whole: bool) -> bool: ...

    _Way = tuple[bool, str | None, bool]
    """Whether the server uses TLS, the URL of the proxy, and whether HTTP/2 may be used."""

with contextlib.suppress(ImportError):  # anyio would import it on the loop, during the first request
    import_module("anyio._backends._asyncio")

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_FAILURES: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ProxyError,
)


class _Connection:
    """A connection of httpcore; with HTTP/2, several concurrent requests may use it."""

    def __init__(
        self, way: _Way, pool: Callable[[Network], httpcore.AsyncConnectionPool], url: httpcore.URL
    ) -> None:
        self.way = way
        self.network = Network()
        # The pool only creates the connection, through proxies if needed. It does not keep it.
        self.http = pool(self.network).create_connection(url.origin)
        self.users = 0
        self.idle_since = 0.0
        self.spent = False


class PooledTransport(httpx.AsyncBaseTransport):
    """A pool of connections to any servers, directly or through proxies, with or without TLS.

    Args:
        config: Limits, proxy and HTTP/2.
        make_ssl_context: Creates the TLS context; called in a thread when TLS is first needed.
    """

    def __init__(self, config: ComputeClientConfig, make_ssl_context: Callable[[], ssl.SSLContext]) -> None:
        self._config = config
        self._make_ssl_context = make_ssl_context
        # By server: searching the environment for a proxy takes a large part of a request's time.
        self._ways: dict[tuple[bytes, bytes, int | None, bool], _Way] = {}
        self._pools: dict[_Way, Callable[[Network], httpcore.AsyncConnectionPool]] = {}
        self._making = asyncio.Lock()
        self._in_use: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._most_idle = min(config.pool_size, config.pool_maxsize)
        self._closed = False
        self._env_proxies = _env_proxies() if config.trust_env else {}

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=cast("AsyncIterator[bytes]", request.stream),
            extensions=request.extensions,
        )
        # Over HTTP/2, httpcore notices no rejection while an upload waits for flow control, and aborts
        # requests that a closing connection would still let finish.
        http2 = self._config.http2 and request.method != "POST"
        server = (sent.url.scheme, sent.url.host, sent.url.port, http2)
        way = self._ways.get(server) or await self._prepare(url, http2=http2)
        self._ways[server] = way
        while True:
            connection = self._take(way, sent.url)
            try:
                answer = await connection.http.handle_async_request(sent)
            except httpcore.ConnectionNotAvailable:  # closed since it was taken; nothing was sent
                self.release(connection, whole=False)
            except BaseException as exc:
                self.release(connection, whole=False)
                if isinstance(exc, _FAILURES):
                    raise _of_httpx(exc) from exc
                raise
            else:
                body = _Body(answer, partial(self.release, connection))
                extensions = cast("dict[str, object]", answer.extensions)
                return httpx.Response(
                    answer.status, headers=answer.headers, stream=body, extensions=extensions
                )

    @override
    async def aclose(self) -> None:
        self.abandon()
        for _ in range(3):  # asyncio closes sockets one turn of the loop later, and TLS needs another turn
            await asyncio.sleep(0)

    def abandon(self) -> None:
        """Close all connections immediately, even if their event loop is closed."""
        self._closed = True
        for connection in (*self._in_use, *self._idle):
            connection.network.abort()
        self._in_use.clear()
        self._idle.clear()

    def _take(self, way: _Way, url: httpcore.URL) -> _Connection:
        """Get a connection: the most recently used idle one, a shared one, or a new one."""
        if self._closed:
            raise httpx.ConnectError("the connection pool is closed")
        oldest = time.monotonic() - self._config.keepalive_expiry
        while self._idle and (self._idle[0].idle_since < oldest or self._idle[0].network.has_ended):
            self._idle.pop(0).network.abort()
        for connection in reversed(self._idle):
            if connection.way == way and connection.http.can_handle_request(url.origin):
                self._idle.remove(connection)
                if connection.http.has_expired():
                    connection.network.abort()
                    continue
                break
        else:
            connection = self._shared(way, url) if way[2] else None
            connection = connection or _Connection(way, self._pools[way], url)
        connection.users += 1
        self._in_use.add(connection)
        return connection

    def _shared(self, way: _Way, url: httpcore.URL) -> _Connection | None:
        """Get a connection in use that can take another request, since it uses, or may use, HTTP/2."""
        for connection in self._in_use:
            fits = connection.way == way and connection.http.can_handle_request(url.origin)
            if fits and not connection.spent and connection.http.is_available():
                return connection
        return None

    def release(self, connection: _Connection, *, whole: bool) -> bool:
        """Return a connection after a request, and close it immediately unless it can be used again.

        Args:
            connection: The connection.
            whole: Whether the response was read to its end; if not, the connection is not used again.

        Returns:
            Whether the connection is still open.
        """
        connection.users -= 1
        connection.spent |= not whole
        if connection.users:  # other requests still use it; the last of them closes it
            return True
        self._in_use.discard(connection)
        if connection.spent or self._closed or not connection.http.is_idle():
            connection.network.abort()
            return False
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if len(self._idle) > self._most_idle:
            self._idle.pop(0).network.abort()
        return True

    def _proxy_for(self, url: httpx.URL) -> str | None:
        if self._config.proxy is not None:
            return self._config.proxy.get_secret_value()
        proxy = self._env_proxies.get(url.scheme) or self._env_proxies.get("all")
        return None if proxy is None or _is_exempt(url) else proxy

    async def _prepare(self, url: httpx.URL, *, http2: bool) -> _Way:
        """Prepare the TLS context and proxy for connections to a server."""
        way = tls, proxy, _ = url.scheme == "https", self._proxy_for(url), http2
        async with self._making:
            if way in self._pools:
                return way
            # httpcore would check for these only in the middle of a request.
            if self._config.http2 and find_spec("h2") is None:
                raise MissingExtraError("HTTP/2", "http2")
            if proxy is not None and proxy.startswith("socks") and find_spec("socksio") is None:
                raise MissingExtraError("A SOCKS proxy", "socks")
            tls_to_proxy = proxy is not None and proxy.startswith("https:")
            context = await in_thread(self._make_ssl_context) if tls or tls_to_proxy else None
            through = None if proxy is None else _usable(proxy, context if tls_to_proxy else None)
            self._pools[way] = lambda network: httpcore.AsyncConnectionPool(
                ssl_context=context,
                proxy=through,
                http2=http2,
                keepalive_expiry=self._config.keepalive_expiry,
                network_backend=network,
            )
        return way


class _Body(httpx.AsyncByteStream):
    """The body of a response. Reading it to the end, or closing it, returns the connection to the pool."""

    def __init__(self, answer: httpcore.Response, release: _Release) -> None:
        self._stream = cast("httpx.AsyncByteStream", answer.stream)
        self._parts: AsyncIterator[bytes] | None = None
        self._release = release
        self._reading = self._whole = self._closed = False

    @override
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise httpx.ReadError("the response was closed")
        self._parts = self._parts or aiter(self._stream)
        self._reading = True
        try:
            return await anext(self._parts)
        except StopAsyncIteration:
            self._whole = True
            raise
        except BaseException as exc:
            if not self._closed:
                self._end()
            if isinstance(exc, _FAILURES):
                raise _of_httpx(exc) from exc
            raise
        finally:
            self._reading = False

    @override
    async def aclose(self) -> None:
        if self._closed:
            return
        reading = self._reading
        try:
            if self._whole:
                await self._stream.aclose()
        except BaseException:
            self._whole = False
            raise
        finally:
            is_open = self._end()
        if self._whole or reading:
            return
        if is_open:  # an HTTP/2 connection that other requests use
            await self._stream.aclose()
        elif self._parts is not None:
            # Finish httpcore's generators; otherwise asyncio would finish them later, in tasks.
            with contextlib.suppress(*_FAILURES):
                async for _ in self._parts:
                    pass

    def _end(self) -> bool:
        self._closed = True
        return self._release(whole=self._whole)


def _of_httpx(error: Exception) -> Exception:
    """Convert an error of httpcore to the httpx error of the same name."""
    kind = cast("object", getattr(httpx, type(error).__name__, None))
    assert isinstance(kind, type)  # noqa: S101 - httpx has an error of each of these names
    assert issubclass(kind, httpx.TransportError)  # noqa: S101 - all of these are transport errors
    return kind(str(error))


def _env_proxies() -> dict[str, str]:
    """Read proxies from the environment, by scheme; a proxy URL without a scheme means HTTP."""
    return {scheme: url if "://" in url else f"http://{url}" for scheme, url in getproxies().items()}


def _is_exempt(url: httpx.URL) -> bool:
    """Check whether ``NO_PROXY`` excludes a server, by host or by host and port."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
    return any(map(proxy_bypass, (url.host, f"{host}:{port}")))


def _usable(proxy: str, context: ssl.SSLContext | None) -> httpcore.Proxy:
    try:
        check_proxy(proxy)
    except ValueError as exc:  # the config's own proxy was checked before
        raise ConfigurationError(
            f"Invalid proxy in the environment (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY): {exc}"
        ) from None
    parsed = httpx.Proxy(proxy)  # separates the user name and the password
    url = parsed.url
    address = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")
    return httpcore.Proxy(address, auth=parsed.raw_auth, ssl_context=context)
