"""An HTTP proxy in front of a real server, which breaks the requests that a test chooses."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import TYPE_CHECKING

import httpx

from cl_client.compute_client import ComputeClient
from cl_client.config import ComputeClientConfig
from cl_client.testing.connections import ConnectionServer, ReceivedRequests, closing
from cl_client.testing.exchange import Exchange, HangUp
from cl_client.testing.faults import pass_on
from cl_client.testing.http_framing import read_head, read_response_body

if TYPE_CHECKING:
    from typing import Self

    from cl_client.auth import AuthProvider
    from cl_client.local import LocalServer
    from cl_client.testing.exchange import Fault

_HOST = re.compile(rb"(\r\nhost: *)[^\r]*", re.IGNORECASE)


class FaultProxy(ReceivedRequests):
    """Passes requests on to a server, except for those that a fault is planned for.

        async with FaultProxy(server) as proxy, proxy.client() as client:
            proxy.plan(cut(after=100), matching="GET /jobs/.*/files/")

    It holds whole requests and responses in memory: a response that the server does not finish does not
    arrive in part. An exception of a fault is raised at the end of the block, as is a server certificate that
    is not trusted. Requests with ``Expect: 100-continue`` get no interim response.

    Args:
        server: A local server, or the address of another service: http or https, perhaps with a path.
        default: What to do with requests for which nothing is planned.
        ssl_context: How to check the certificate of a server behind https; None for the usual way.
        tls: The certificate that clients see, if they are to use https; None for http.

    Attributes:
        requests: The heads of all requests.
        responses: What the server responded to those that were passed on to it.
    """

    def __init__(
        self,
        server: LocalServer | str,
        *,
        default: Fault = pass_on,
        ssl_context: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.server = httpx.URL(server if isinstance(server, str) else server.base_url)
        super().__init__()
        self.responses: list[bytes] = []
        self._default = default
        self._ssl_context = ssl_context
        self._tls = tls
        self._planned: list[tuple[re.Pattern[str], Fault]] = []
        self._listener = ConnectionServer(self._serve)

    async def __aenter__(self) -> Self:
        await self._listener.start(self._tls)
        return self

    async def __aexit__(self, *_args: object) -> None:
        await self._listener.close()

    @property
    def base_url(self) -> str:
        """Where it listens, with the path of the server's address.

        Raises:
            RuntimeError: It was not started.
        """
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.port}{self.server.path.rstrip('/')}"

    def client(self, *, auth_provider: AuthProvider | None = None, **settings: object) -> ComputeClient:
        """Make a client whose requests go through here.

        Args:
            auth_provider: Its credentials.
            **settings: Settings of `ComputeClientConfig`, by name. Push is off unless ``mqtt_broker`` is
                given.

        Returns:
            A client, to be closed by the caller.

        Raises:
            ConfigurationError: A setting is invalid.
        """
        values: dict[str, object] = {"base_url": self.base_url, "mqtt_broker": "off", **settings}
        return ComputeClient(config=ComputeClientConfig.create(**values), auth_provider=auth_provider)

    def aim(self, base_url: str) -> None:
        """Pass further requests on to another server.

        Args:
            base_url: Its address, with the same path as before.
        """
        self.server = httpx.URL(base_url)

    def plan(self, fault: Fault, times: int = 1, *, matching: str = "") -> None:
        """Deal so with the next requests for which nothing else is planned.

        Args:
            fault: One of `cl_client.testing.faults`, or a function of your own.
            times: With how many requests, at least 1.
            matching: A regular expression that is searched for in ``"METHOD /path?query"``; empty for all.

        Raises:
            ValueError: ``times`` is below 1, or ``matching`` is not a regular expression.
        """
        if times < 1:
            raise ValueError(f"times is {times}; it must be at least 1")
        try:
            pattern = re.compile(matching)
        except re.error as exc:
            raise ValueError(f"matching is {matching!r}, not a regular expression: {exc}") from exc
        self._planned.extend([(pattern, fault)] * times)

    def forget_plans(self) -> None:
        """Deal with all further requests in the default way."""
        self._planned.clear()

    def _next_fault(self, exchange: Exchange) -> Fault:
        line = f"{exchange.method} {exchange.target}"
        for index, (pattern, fault) in enumerate(self._planned):
            if pattern.search(line):
                del self._planned[index]
                return fault
        return self._default

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep_alive = True
        while keep_alive:
            try:
                keep_alive = await self._serve_one(reader, writer)
            except ssl.SSLCertVerificationError:
                raise
            except (HangUp, OSError, asyncio.IncompleteReadError):
                return  # a server that is away looks to the client like a connection that breaks

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; whether the connection serves another one."""
        head = await read_head(reader)
        self._note(head)
        exchange = Exchange(head, reader, writer, self._ask)
        await self._next_fault(exchange)(exchange)
        return exchange.keep_alive

    async def _ask(self, exchange: Exchange) -> bytes:
        request = _HOST.sub(rb"\g<1>" + self.server.netloc, await exchange.request(), count=1)
        encrypted = self.server.scheme == "https"
        server, sending = await asyncio.open_connection(
            self.server.host,
            self.server.port or (443 if encrypted else 80),
            ssl=(self._ssl_context or True) if encrypted else None,
        )
        async with closing(sending):
            sending.write(request)  # not awaited: a server may respond, and close, before it has read all
            head = await read_head(server)
            body, keep_alive = await read_response_body(head, server, exchange.method)
            sending.transport.abort()
        response = head + body
        exchange.keep_alive = exchange.keep_alive and keep_alive
        self.responses.append(response)
        return response
