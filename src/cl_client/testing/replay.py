"""Plays a recorded session without the server that it was recorded with."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cl_client._core.owned_tasks import OwnedTasks
from cl_client._mqtt.address import BrokerAddress
from cl_client._transfers.references import SHARES_PATH
from cl_client.local.broker.embedded import EmbeddedBroker
from cl_client.local.broker.publisher import Publisher
from cl_client.local.net.listener import bind_listener, url_of
from cl_client.local.quiet_logging import quiet_libraries
from cl_client.testing.fault_proxy import FaultProxy
from cl_client.testing.faults import http_response
from cl_client.testing.http_framing import parse_request
from cl_client.testing.session_file import Announced, Content, Exchanged, RecordedSession, digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path
    from typing import Self

    from cl_client.auth import AuthProvider
    from cl_client.compute_client import ComputeClient
    from cl_client.testing.exchange import Exchange
    from cl_client.testing.session_file import Entry

_CONNECT_SECONDS: Final = 10.0


class SessionReplay:
    """A server that says again what was recorded by `SessionRecorder`.

        async with SessionReplay("session.json") as replay, replay.client() as client:
            job = await client.hash.compute("photo.jpg", wait=True)

    - A request that changes something (``POST``, ``DELETE``, ...) gets the first response recorded for that
      path that was not played yet; where several files went to one path, the one for the same content. The
      messages that were recorded before the next such request follow.
    - A read gets the next response recorded for that path that is not older than what was played last; in the
      end the last one again, as a client need not ask as often as it did then.
    - The ``timestamp`` of messages is moved to the time of the replay: workers that were announced long ago
      would be gone.
    - Everything else gets status 501 and is kept in `unexpected`, except a question for shared folders: none.

    Args:
        path: The file.
        speed: How fast messages follow: 1 for as fast as they came then, 10 for ten times that; None for no
            pauses.

    Attributes:
        http: The server's side of HTTP, for which faults can be planned.
        unexpected: Requests that are not in the file, as ``"METHOD /path"``.

    Raises:
        OSError: The file cannot be read.
        ConfigurationError: It is not the file of a session.
        ValueError: ``speed`` is not above 0.
    """

    def __init__(self, path: str | Path, *, speed: float | None = None) -> None:
        if speed is not None and speed <= 0:
            raise ValueError(f"speed is {speed}; it must be above 0, or None for no pauses")
        self._path = path
        session = RecordedSession.load(path)
        self._entries: list[Entry] = list(session.entries)
        self._recorded_at = session.recorded_at
        self._age_ms = 0.0
        self._speed = speed
        self._played = -1
        self._used: set[int] = set()
        self._tasks = OwnedTasks()
        self._stack = AsyncExitStack()
        self._publisher: Publisher | None = None
        self._mqtt_url = ""
        self.http = FaultProxy("http://recorded", default=self._respond)
        self.unexpected: list[str] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.enter_context(quiet_libraries())
            listener = stack.enter_context(bind_listener("127.0.0.1", 0, "MQTT broker"))
            broker = EmbeddedBroker(listener)
            await broker.start()
            stack.push_async_callback(broker.stop)
            self._mqtt_url = url_of("mqtt", listener)
            self._age_ms = (datetime.now(UTC) - self._recorded_at) / timedelta(milliseconds=1)
            retained = _retained_at_first(self._entries)
            publisher = await stack.enter_async_context(_publishing(self._mqtt_url))
            for entry in retained:
                self._publish(publisher, entry)
            await publisher.flush()
            self._publisher = publisher
            _ = await stack.enter_async_context(self.http)
            stack.push_async_callback(self._tasks.cancel)
            self._tasks.add(asyncio.ensure_future(self._announce_after(len(retained) - 1)))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_args: object) -> None:
        await self._stack.aclose()

    @property
    def base_url(self) -> str:
        """Where clients reach it."""
        return self.http.base_url

    @property
    def mqtt_url(self) -> str:
        """Where clients reach its broker."""
        return self._mqtt_url

    def client(self, *, auth_provider: AuthProvider | None = None, **settings: object) -> ComputeClient:
        """Make a client of the recorded server.

        Args:
            auth_provider: Its credentials; they are not checked.
            **settings: Settings of `ComputeClientConfig`, by name.

        Returns:
            A client, to be closed by the caller.

        Raises:
            ConfigurationError: A setting is invalid.
        """
        return self.http.client(auth_provider=auth_provider, **{"mqtt_broker": self._mqtt_url, **settings})

    async def _respond(self, exchange: Exchange) -> None:
        request, content = parse_request(await exchange.request())
        sent = {name.lower(): value.decode("latin-1") for name, value in request.headers}
        key = (exchange.method, exchange.target, sent.get(b"range"))
        found = self._find(key, digest_of(content, sent.get(b"content-type", "")))
        if found is None and key[:2] == ("GET", SHARES_PATH):  # as servers answer that share nothing
            await exchange.send(http_response("404 Not Found", json.dumps({"detail": "Not Found"})))
            return
        if found is None:
            self.unexpected.append(f"{exchange.method} {exchange.target}")
            detail = f"{self.unexpected[-1]} is not in the recorded session {self._path}"
            await exchange.send(http_response("501 Not Implemented", json.dumps({"detail": detail})))
            return
        place, entry = found
        self._used.add(place)
        await exchange.send(_response_of(entry))
        if not entry.is_read:
            self._tasks.add(asyncio.ensure_future(self._announce_after(place)))

    def _find(self, key: tuple[str, str, str | None], digest: str | None) -> tuple[int, Exchanged] | None:
        """Find the recorded response to a request."""
        same = [
            (place, entry)
            for place, entry in enumerate(self._entries)
            if isinstance(entry, Exchanged) and entry.key == key
        ]
        fresh = [(place, entry) for place, entry in same if place not in self._used]
        if key[0] in {"GET", "HEAD"}:
            ahead = self._next_change(key[1])
            earlier = [(place, entry) for place, entry in same if place < ahead]
            later = [(place, entry) for place, entry in fresh if self._played < place < ahead]
            return next(iter(later), (earlier or same[:1] or [None])[-1])
        alike = [(place, entry) for place, entry in fresh if entry.sha256 == digest]
        return next(iter(alike or fresh), None)

    def _next_change(self, path: str) -> int:
        """Where the next change of what is at a path was recorded, such as a deletion."""
        return next(
            (
                place
                for place, entry in enumerate(self._entries)
                if isinstance(entry, Exchanged)
                and not entry.is_read
                and place not in self._used
                and f"{path}/".startswith(f"{entry.path}/")
            ),
            len(self._entries),
        )

    async def _announce_after(self, place: int) -> None:
        """Publish what was recorded between an entry and the next request that changed something."""
        self._played = max(self._played, place)
        begun = self._entries[place].at if place >= 0 else 0.0
        for later, entry in enumerate(self._entries[place + 1 :], place + 1):
            if isinstance(entry, Exchanged):
                if not entry.is_read:
                    return
                continue
            if self._speed is not None:
                await asyncio.sleep((entry.at - begun) / self._speed)
                begun = entry.at
            if self._publisher is not None:
                self._publish(self._publisher, entry)
            self._played = max(self._played, later)

    def _publish(self, publisher: Publisher, entry: Announced) -> None:
        payload = _moved(entry.payload, self._age_ms).to_bytes()
        publisher.publish(entry.topic, payload, retain=entry.retain)


@asynccontextmanager
async def _publishing(mqtt_url: str) -> AsyncGenerator[Publisher]:
    """Connect to the broker."""
    publisher = Publisher(BrokerAddress.parse(mqtt_url))
    publisher.start()
    try:
        if not await publisher.wait_connected(_CONNECT_SECONDS):
            raise TimeoutError("The replay's own broker does not answer")
        yield publisher
    finally:
        await publisher.close()


def _retained_at_first(entries: list[Entry]) -> list[Announced]:
    found: list[Announced] = []
    for entry in entries:
        if not (isinstance(entry, Announced) and entry.retain):
            break
        found.append(entry)
    return found


def _moved(payload: Content, milliseconds: float) -> Content:
    """Give a message the time of today: workers that were announced long ago are gone for clients."""
    if isinstance(payload.data, dict):
        time = payload.data.get("timestamp")
        if isinstance(time, int | float):
            return Content(data={**payload.data, "timestamp": int(time + milliseconds)})
    return payload


def _response_of(entry: Exchanged) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in entry.headers.items())
    body = entry.body.to_bytes()
    head = f"HTTP/1.1 {entry.status} Recorded\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + (b"" if entry.method == "HEAD" else body)
