"""The transport under httpx: made on first use, so that nothing blocks the loop; replaced if it starves."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, cast
from urllib.request import getproxies, proxy_bypass

import httpx
from typing_extensions import override

from cl_client._core.log import get_logger
from cl_client._core.threads import in_thread
from cl_client._core.validation import check_proxy
from cl_client._errors import ConfigurationError, MissingExtraError
from cl_client._http.early_responses import EarlyResponseBackend, is_unused

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client.config import ComputeClientConfig

logger = get_logger("cl_client.http")

# httpcore and anyio would import these inside of the first request, on the loop.
for _module in ("httpcore._backends.anyio", "anyio._backends._asyncio"):
    with contextlib.suppress(ImportError):
        import_module(_module)

_SPARE_CONNECTIONS: Final = 8
"""More connections than calls at once, so that one that is just closing holds up nobody."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class PooledTransport(httpx.AsyncBaseTransport):
    """One httpx transport per way to a server (direct or proxy, with TLS or without), each with its pool.

    Args:
        config: Limits, proxy, HTTP/2.
        make_ssl_context: Makes the TLS context; called in a thread, when TLS is first needed.
    """

    def __init__(self, config: ComputeClientConfig, make_ssl_context: Callable[[], ssl.SSLContext]) -> None:
        self._config = config
        self._make_ssl_context = make_ssl_context
        self._limits = httpx.Limits(
            max_connections=config.pool_maxsize + _SPARE_CONNECTIONS,
            max_keepalive_connections=config.pool_size,
            keepalive_expiry=config.keepalive_expiry,
        )
        self._transports: dict[tuple[bool, str | None], httpx.AsyncHTTPTransport] = {}
        self._retired: list[httpx.AsyncHTTPTransport] = []
        self._backends: list[EarlyResponseBackend] = []
        self._making = asyncio.Lock()
        self._closed = False
        # Read once: looking through the environment takes longer than much else of a request.
        self._env_proxies = _env_proxies() if config.trust_env else {}

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        way = (request.url.scheme == "https", self._proxy_for(request.url))
        transport = self._transports.get(way) or await self._made(way)
        try:
            return await transport.handle_async_request(request)
        except asyncio.CancelledError:
            await _close_unused(transport)
            raise
        except httpx.PoolTimeout:
            # Calls wait for their turn elsewhere, so a pool without a free connection has lost some: httpcore
            # does not always give back the slot of a cancelled request. Nothing of this one was sent yet.
            logger.warning("the connection pool ran dry and is replaced by a new one")
            if self._transports.get(way) is transport:
                self._retired.append(self._transports.pop(way))
            return await (self._transports.get(way) or await self._made(way)).handle_async_request(request)

    @override
    async def aclose(self) -> None:
        self._closed = True
        transports = [*self._transports.values(), *self._retired]
        self._transports.clear()
        self._retired.clear()
        for transport in transports:
            await transport.aclose()
        while self._backends:
            await self._backends.pop().aclose()

    def abandon(self) -> None:
        """Close every connection, when the event loop that they belong to is closed."""
        while self._backends:  # first: they know connections for as long as the pools have them
            self._backends.pop().abandon()
        self._transports.clear()
        self._retired.clear()

    def _proxy_for(self, url: httpx.URL) -> str | None:
        if self._config.proxy is not None:
            return self._config.proxy.get_secret_value()
        proxy = self._env_proxies.get(url.scheme) or self._env_proxies.get("all")
        return None if proxy is None or _is_exempt(url) else proxy

    async def _made(self, way: tuple[bool, str | None]) -> httpx.AsyncHTTPTransport:
        async with self._making:
            if self._closed:
                raise httpx.ConnectError("it was closed before there was a connection")
            if way not in self._transports:
                tls, proxy = way
                tls_to_proxy = proxy is not None and proxy.startswith("https:")
                needed = tls or tls_to_proxy
                context = await in_thread(self._make_ssl_context) if needed else _unused_context()
                through = None if proxy is None else _usable(proxy, context if tls_to_proxy else None)
                self._transports[way] = self._make(context, through)
            return self._transports[way]

    def _make(self, context: ssl.SSLContext, proxy: httpx.Proxy | None) -> httpx.AsyncHTTPTransport:
        # Only httpx's client looks for these; its transport would fail in the middle of a request.
        if self._config.http2 and find_spec("h2") is None:
            raise MissingExtraError("HTTP/2", "http2")
        if proxy is not None and proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
            raise MissingExtraError("A SOCKS proxy", "socks")
        transport = httpx.AsyncHTTPTransport(
            verify=context, limits=self._limits, http2=self._config.http2, proxy=proxy, trust_env=False
        )
        # httpcore takes a backend, but httpx has no argument to pass it on.
        pool = transport._pool  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see above
        backend = pool._network_backend  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see above
        own = EarlyResponseBackend(backend)
        self._backends.append(own)
        pool._network_backend = own  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see above
        return transport


def _env_proxies() -> dict[str, str]:
    """Proxies of the environment by scheme; one without a scheme of its own is spoken to in HTTP."""
    return {scheme: url if "://" in url else f"http://{url}" for scheme, url in getproxies().items()}


def _is_exempt(url: httpx.URL) -> bool:
    """Whether the environment takes a server out by its host, with its port or without."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
    return any(map(proxy_bypass, (url.host, f"{host}:{port}")))


def _usable(proxy: str, context: ssl.SSLContext | None) -> httpx.Proxy:
    try:
        check_proxy(proxy)
    except ValueError as exc:  # a config's was checked before
        raise ConfigurationError(f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY of the environment: {exc}") from None
    return httpx.Proxy(proxy, ssl_context=context)


async def _close_unused(transport: httpx.AsyncHTTPTransport) -> None:
    """Close the connection that a cancelled request had made, and had not yet used.

    httpcore 1.0 forgets it as neither idle nor closed, in a slot of the pool that is lost.
    """
    pool = transport._pool  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see above
    for connection in pool.connections:
        inner = cast("object", getattr(connection, "_connection", None))
        if is_unused(cast("object", getattr(inner, "_network_stream", None))):
            await connection.aclose()


def _unused_context() -> ssl.SSLContext:
    """For plain HTTP: without it, httpx would load the system's authorities, on the loop."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
