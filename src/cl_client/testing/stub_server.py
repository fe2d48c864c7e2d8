"""A server that sends the responses that a test wrote, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from cl_client.compute_client import ComputeClient
from cl_client.config import ComputeClientConfig
from cl_client.testing.connections import ConnectionServer, ReceivedRequests
from cl_client.testing.http_framing import read_head, read_request_body

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Mapping


class StubServer(ReceivedRequests):
    """Responds to one request for each connection, and closes it.

        stub = StubServer(http_response("503 Service Unavailable"), http_response("200 OK", job))
        async with stub.running() as client:
            ...

    Args:
        responses: Whole responses, in turn, the last one for all further requests; see `http_response`.
            ``b""`` closes the connection without a response, None waits until the client closes it.
        files: What goes before these, by the last part of the path of the request.
        port: The port to listen on; 0 for a free one.

    Attributes:
        requests: All that it has received, in full.
    """

    def __init__(
        self, *responses: bytes | None, files: Mapping[str, bytes | None] | None = None, port: int = 0
    ) -> None:
        super().__init__()
        self._port = port
        self._responses = list(responses)
        self._files: Mapping[str, bytes | None] = {} if files is None else files
        self._listener = ConnectionServer(self.serve)

    @property
    def targets(self) -> list[str]:
        """The path and query of each request."""
        return [request.split(b" ", 2)[1].decode() for request in self.requests]

    @contextlib.asynccontextmanager
    async def running(
        self, *, tls: ssl.SSLContext | None = None, **settings: object
    ) -> AsyncGenerator[ComputeClient]:
        """Run the server, with a client of it.

        Args:
            tls: For a server behind https; None for http.
            **settings: Settings of `ComputeClientConfig`, by name. Push is off unless ``mqtt_broker`` is
                given.

        Yields:
            The client.

        Raises:
            OSError: The port is in use.
            ConfigurationError: A setting is invalid.
        """
        await self._listener.start(tls, self._port)
        base_url = f"http{'s' if tls else ''}://127.0.0.1:{self._listener.port}"
        values = {"base_url": base_url, "mqtt_broker": "off", **settings}
        try:
            async with ComputeClient(config=ComputeClientConfig.create(**values)) as client:
                yield client
            await self._listener.drained()  # they hear a moment later that the client has hung up
        finally:
            await self._listener.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Respond to one request.

        Args:
            reader: The connection.
            writer: The same connection.
        """
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await read_head(reader)
            self._note(head + (await read_request_body(head, reader)).wire)
            response = await self.respond(head)
            if response is None:
                await reader.read()
            else:
                writer.write(response)
                await writer.drain()

    async def respond(self, head: bytes) -> bytes | None:
        """Choose the response to a request; to be overridden where the order of requests is not enough.

        Args:
            head: First line and headers of the request.

        Returns:
            The response, or None to wait until the client closes the connection.
        """
        name = head.split(b" ")[1].rpartition(b"/")[2].decode()
        if name in self._files:
            return self._files[name]
        return self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]
