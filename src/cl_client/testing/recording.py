"""Records what a client and a real server say to each other, over HTTP and MQTT."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Final

from paho.mqtt.client import topic_matches_sub

from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from cl_client._mqtt.types import ConnectionOptions
from cl_client._transfers.references import SHARES_PATH
from cl_client.exceptions import ServerUnavailableError
from cl_client.testing.fault_proxy import FaultProxy
from cl_client.testing.http_framing import parse_request, parse_response
from cl_client.testing.session_file import Announced, Content, Exchanged, RecordedSession, digest_of

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

    from cl_client._mqtt.types import MQTTMessage
    from cl_client.auth import AuthProvider
    from cl_client.compute_client import ComputeClient
    from cl_client.testing.exchange import Exchange
    from cl_client.testing.session_file import Entry

_CONNECT_SECONDS: Final = 10.0
_KEPT_HEADERS: Final = {
    *(b"content-type", b"content-encoding", b"content-disposition", b"content-range", b"accept-ranges"),
    *(b"etag", b"last-modified", b"retry-after", b"location"),
}


def _without_key_file(answer: Content) -> Content:
    """A share key is of one run of a server; a session that is played asks for none."""
    return Content(data={**answer.data, "key_file": None}) if isinstance(answer.data, dict) else answer


class SessionRecorder:
    """Records a session in a file, which `SessionReplay` plays without a server.

        async with SessionRecorder("session.json", "http://server:8002", "mqtt://server") as recorder:
            async with recorder.client() as client:
                job = await client.hash.compute("photo.jpg", wait=True)

    No header of a request is recorded, and so no token. Responses are: file names, parameters and results are
    in the file. Bodies are held in memory. A session that ends with an exception is not saved.

    Args:
        path: The file; one that exists is replaced.
        base_url: The server.
        mqtt_url: Its broker, perhaps with user name and password; None to record no messages.
        topics: What to record of the broker.
        ssl_context: How to check the certificates of a server behind https and a broker behind mqtts; None
            for the usual way. For the broker, the client has settings of its own, such as ``ca_file``.
    """

    def __init__(
        self,
        path: str | Path,
        base_url: str,
        mqtt_url: str | None = None,
        *,
        topics: tuple[str, ...] = ("inference/events", "inference/workers/+"),
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._path = Path(path)
        self._mqtt_url = mqtt_url
        self._topics = topics
        self._ssl_context = ssl_context
        self._proxy = FaultProxy(base_url, default=self._record, ssl_context=ssl_context)
        self._begun = 0.0
        self._news = asyncio.Event()
        self._recorded_at = datetime.now(UTC)
        self._entries: list[Entry | None] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if not self._path.absolute().parent.is_dir():  # before a long session, rather than at its end
            raise FileNotFoundError(ENOENT, "There is no such folder", str(self._path.absolute().parent))
        self._recorded_at = datetime.now(UTC)
        self._begun = time.monotonic()
        async with AsyncExitStack() as stack:
            if self._mqtt_url is not None:
                address = BrokerAddress.parse(self._mqtt_url)
                options = ConnectionOptions()
                if (context := self._ssl_context) is not None:
                    options = ConnectionOptions(make_ssl_context=lambda: context)
                connection = MQTTConnection(
                    address, topics=self._topics, on_messages=self._note, options=options
                )
                stack.push_async_callback(connection.close)
                connection.start()
                if not await connection.wait_connected(_CONNECT_SECONDS):
                    reason = connection.problem or "no answer"
                    raise ServerUnavailableError(f"The broker {address} cannot be reached: {reason}")
            _ = await stack.enter_async_context(self._proxy)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        if kind is None:
            self.session.save(self._path)

    @property
    def base_url(self) -> str:
        """Where clients reach the server and are recorded."""
        return self._proxy.base_url

    @property
    def session(self) -> RecordedSession:
        """What is recorded so far."""
        entries = [entry for entry in self._entries if entry is not None]
        return RecordedSession(recorded_at=self._recorded_at, entries=entries)

    async def noted(self, count: int) -> None:
        """Wait until so many MQTT messages are recorded. Wrap it in `asyncio.timeout`.

        Args:
            count: How many messages since the start.
        """
        while sum(isinstance(entry, Announced) for entry in self._entries) < count:
            self._news.clear()
            await self._news.wait()

    def client(self, *, auth_provider: AuthProvider | None = None, **settings: object) -> ComputeClient:
        """Make a client that is recorded.

        Args:
            auth_provider: Its credentials, which are not recorded.
            **settings: Settings of `ComputeClientConfig`, by name.

        Returns:
            A client, to be closed by the caller.

        Raises:
            ConfigurationError: A setting is invalid.
        """
        values = {"mqtt_broker": self._mqtt_url or "off", **settings}
        return self._proxy.client(auth_provider=auth_provider, **values)

    def _now(self) -> float:
        return round(time.monotonic() - self._begun, 3)

    def _note(self, messages: list[MQTTMessage]) -> None:
        for message in messages:
            # The embedded broker (amqtt) also sends retained messages that others have subscribed to.
            if not any(topic_matches_sub(topic, message.topic) for topic in self._topics):
                continue
            payload = Content.of(message.payload)
            self._entries.append(
                Announced(at=self._now(), topic=message.topic, retain=message.retain, payload=payload)
            )
        self._news.set()

    async def _record(self, exchange: Exchange) -> None:
        place = len(self._entries)
        # Where the request came: messages that overtake its response stand behind it.
        self._entries.append(None)
        at = self._now()
        response = await exchange.response()
        request, uploaded = parse_request(await exchange.request())
        sent = {name.lower(): value.decode("latin-1") for name, value in request.headers}
        head, content = parse_response(response, exchange.method)
        path = exchange.target.removeprefix(self._proxy.server.path.rstrip("/"))
        self._entries[place] = Exchanged(
            at=at,
            method=exchange.method,
            path=path,
            range=sent.get(b"range"),
            sha256=digest_of(uploaded, sent.get(b"content-type", "")),
            status=head.status_code,
            headers={
                name.decode(): value.decode("latin-1")
                for name, value in head.headers
                if name.lower() in _KEPT_HEADERS
            },
            body=_without_key_file(Content.of(content)) if path == SHARES_PATH else Content.of(content),
        )
        await exchange.send(response)
