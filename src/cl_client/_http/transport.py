"""The transport under httpx: httpcore's connections, kept in a pool that loses none.

httpcore's own pool has slots, and forgets some of them where a request is cancelled, above all twice in a
row. Here a connection is either in use, or idle, or closed at once: calls are bounded by `HTTPService`.
"""

from __future__ import annotations

import asyncio
import contextlib
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
    """Whether there is TLS to the server, which proxy is between, and whether HTTP/2 may be spoken."""

with contextlib.suppress(ImportError):  # anyio would import it inside of the first request, on the loop
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
    """One of httpcore's connections; several requests at once use one that speaks HTTP/2."""

    def __init__(
        self, way: _Way, pool: Callable[[Network], httpcore.AsyncConnectionPool], url: httpcore.URL
    ) -> None:
        self.way = way
        self.network = Network()
        # A pool knows how to make a connection, through proxies as well. It is not used to keep one.
        self.http = pool(self.network).create_connection(url.origin)
        self.users = 0
        self.spent = False


class PooledTransport(httpx.AsyncBaseTransport):
    """Connections to any servers, directly or through proxies, with TLS or without.

    Args:
        config: Limits, proxy, HTTP/2.
        make_ssl_context: Makes the TLS context; called in a thread, when TLS is first needed.
    """

    def __init__(self, config: ComputeClientConfig, make_ssl_context: Callable[[], ssl.SSLContext]) -> None:
        self._config = config
        self._make_ssl_context = make_ssl_context
        # By server: looking through the environment takes longer than much else of a request.
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
        # Over HTTP/2, httpcore hears no refusal while an upload waits for the server's leave to go on, and
        # gives up requests that a connection which is just ending lets finish.
        http2 = self._config.http2 and request.method != "POST"
        server = (sent.url.scheme, sent.url.host, sent.url.port, http2)
        way = self._ways.get(server) or await self._prepare(url, http2=http2)
        self._ways[server] = way
        while True:
            connection = self._take(way, sent.url)
            try:
                answer = await connection.http.handle_async_request(sent)
            except httpcore.ConnectionNotAvailable:  # over since it was taken; nothing of this was sent
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
        for _ in range(3):  # asyncio closes sockets a turn of the loop later, and behind TLS another one
            await asyncio.sleep(0)

    def abandon(self) -> None:
        """Close every connection at once, also when the event loop that they belong to is closed."""
        self._closed = True
        for connection in (*self._in_use, *self._idle):
            connection.network.abort()
        self._in_use.clear()
        self._idle.clear()

    def _take(self, way: _Way, url: httpcore.URL) -> _Connection:
        """A connection that can be used now: the youngest one that is idle, a shared one, or a new one."""
        if self._closed:
            raise httpx.ConnectError("it was closed before there was a connection")
        while self._idle and self._idle[0].http.has_expired():
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
        """One that speaks HTTP/2, or may come to do so, and takes another request."""
        for connection in self._in_use:
            fits = connection.way == way and connection.http.can_handle_request(url.origin)
            if fits and not connection.spent and connection.http.is_available():
                return connection
        return None

    def release(self, connection: _Connection, *, whole: bool) -> bool:
        """A request no longer uses it: close it at once, unless it can be used again.

        Returns:
            Whether it still is open.
        """
        connection.users -= 1
        connection.spent |= not whole
        if connection.users:  # by other requests, and then it is closed
            return True
        self._in_use.discard(connection)
        if connection.spent or self._closed or not connection.http.is_idle():
            connection.network.abort()
            return False
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
        """Have what connections on the way to that server are made with."""
        way = tls, proxy, _ = url.scheme == "https", self._proxy_for(url), http2
        async with self._making:
            if way in self._pools:
                return way
            # httpcore only looks for these in the middle of a request.
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
    """The body of an answer, whose end, or closing, gives its connection back."""

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
            raise httpx.ReadError("the answer was closed")
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
        if is_open:  # HTTP/2, for other requests
            await self._stream.aclose()
        elif self._parts is not None:
            # Let httpcore's generators end, which asyncio would otherwise do one after the other in tasks.
            with contextlib.suppress(*_FAILURES):
                async for _ in self._parts:
                    pass

    def _end(self) -> bool:
        self._closed = True
        return self._release(whole=self._whole)


def _of_httpx(error: Exception) -> Exception:
    """The same error of httpx, which names them as httpcore does."""
    kind = cast("object", getattr(httpx, type(error).__name__, None))
    assert isinstance(kind, type)  # noqa: S101 - as said
    assert issubclass(kind, httpx.TransportError)  # noqa: S101 - alike
    return kind(str(error))


def _env_proxies() -> dict[str, str]:
    """Proxies of the environment by scheme; one without a scheme of its own is spoken to in HTTP."""
    return {scheme: url if "://" in url else f"http://{url}" for scheme, url in getproxies().items()}


def _is_exempt(url: httpx.URL) -> bool:
    """Whether the environment takes a server out by its host, with its port or without."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
    return any(map(proxy_bypass, (url.host, f"{host}:{port}")))


def _usable(proxy: str, context: ssl.SSLContext | None) -> httpcore.Proxy:
    try:
        check_proxy(proxy)
    except ValueError as exc:  # a config's was checked before
        raise ConfigurationError(f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY of the environment: {exc}") from None
    parsed = httpx.Proxy(proxy)  # takes the user name and the password out of it
    url = parsed.url
    address = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")
    return httpcore.Proxy(address, auth=parsed.raw_auth, ssl_context=context)
