"""Which version of MQTT is spoken: the one with a session wherever it can be had."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient
from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from cl_client._mqtt.protocol_choice import MAX_HANG_UPS
from cl_client._mqtt.types import ConnectionOptions
from cl_client.local.broker.publisher import Publisher
from patience import SECONDS, soon, within
from support import heard, port_of, publishing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from cl_client._mqtt.types import MQTTMessage
    from support import Mosquitto

    MakeMosquitto = Callable[..., Mosquitto]

QUICK = ConnectionOptions(connect_timeout=5, reconnect_min=0.01, reconnect_max=0.02)
V31, V311, V5 = 3, 4, 5
REFUSED = b"\x20\x02\x00\x01"
"""A CONNACK of 3.1.1: unacceptable protocol version."""
_CLEAN = 2
"""The flag of CONNECT."""


class Gate:
    """Stands before a broker, and lets connections through as a test wants it.

    Args:
        port: The broker's.

    Attributes:
        levels: The protocol's level of each CONNECT, and whether it asked for a clean start.
        hang_up: How many connections are to be closed without an answer.
        refuses: What to send to these levels, before hanging up.
        ignores: The levels that never get an answer.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._through: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.levels: list[tuple[int, bool]] = []
        self._news = asyncio.Event()
        self.hang_up = 0
        self.refuses: dict[int, bytes] = {}
        self.ignores: set[int] = set()

    @contextlib.asynccontextmanager
    async def connection(
        self,
        on_messages: Callable[[list[MQTTMessage]], None] | None = None,
        options: ConnectionOptions = QUICK,
    ) -> AsyncGenerator[MQTTConnection]:
        """A connection that goes through here."""
        async with self.listening() as address:
            connection = MQTTConnection(address, topics=["a"], on_messages=on_messages, options=options)
            connection.start()
            try:
                yield connection
            finally:
                await connection.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncGenerator[BrokerAddress]:
        """Let connections through."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        async with server:
            try:
                yield BrokerAddress.parse("127.0.0.1", port_of(server.sockets[0]))
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def called(self, count: int) -> None:
        """Wait until there were so many connections."""
        async with within():
            while len(self.levels) < count:
                self._news.clear()
                await self._news.wait()

    def cut(self) -> None:
        """Break the connections that were let through."""
        for writer in self._through:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, length = await reader.readexactly(2)
        connect = await reader.readexactly(length)
        level, flags = connect[2 + connect[1] :][:2]
        self.levels.append((level, bool(flags & _CLEAN)))
        self._news.set()
        if self.hang_up or level in self.refuses:
            writer.write(self.refuses.get(level, b""))
            self.hang_up = max(self.hang_up - 1, 0)
            writer.close()
            return
        if level in self.ignores:
            await reader.read()
            writer.close()
            return
        upstream, to_broker = await asyncio.open_connection("127.0.0.1", self._port)
        to_broker.write(bytes([kind, length]) + connect)
        self._through.add(writer)
        try:
            await asyncio.gather(_pass_on(reader, to_broker), _pass_on(upstream, writer))
        finally:
            self._through.discard(writer)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def putting_into(came: asyncio.Queue[bytes]) -> Callable[[list[MQTTMessage]], None]:
    def take(messages: list[MQTTMessage]) -> None:
        for message in messages:
            came.put_nowait(message.payload)

    return take


@pytest.mark.parametrize("hang_ups", [1, MAX_HANG_UPS - 1, MAX_HANG_UPS, MAX_HANG_UPS + 2])
async def test_a_broker_that_is_just_starting_gets_mqtt_5(
    make_mosquitto: MakeMosquitto, hang_ups: int
) -> None:
    gate = Gate(make_mosquitto().port)
    gate.hang_up = hang_ups
    async with gate.connection() as connection:
        assert await connection.wait_connected(SECONDS)
    assert gate.levels[-1][0] == V5


async def test_mqtt_5_that_has_worked_is_kept_with_its_session(make_mosquitto: MakeMosquitto) -> None:
    broker, hang_ups = make_mosquitto(), 2 * MAX_HANG_UPS
    gate = Gate(broker.port)
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async with gate.connection(on_messages=putting_into(came)) as connection:
        assert await connection.wait_connected(SECONDS)
        gate.hang_up = hang_ups
        gate.cut()
        async with publishing(broker.url) as publisher:
            publisher.publish("a", b"after all")
        assert await soon(came.get()) == b"after all"
    assert gate.levels == [(V5, True), *[(V5, False)] * (hang_ups + 1)]


async def test_a_broker_that_hangs_up_on_mqtt_5_alone_gets_what_it_knows(
    make_mosquitto: MakeMosquitto,
) -> None:
    gate = Gate(make_mosquitto().port)
    gate.refuses = {V5: b""}
    async with gate.connection() as connection:
        assert await connection.wait_connected(SECONDS)
        assert [level for level, _ in gate.levels] == [*[V5] * MAX_HANG_UPS, V311, V5, V311]
        gate.levels.clear()
        gate.cut()
        await gate.called(1)
        assert await connection.wait_connected(SECONDS)
    assert [level for level, _ in gate.levels] == [V311]


async def test_a_broker_that_is_silent_on_mqtt_5_gets_what_it_knows(make_mosquitto: MakeMosquitto) -> None:
    """As amqtt is: each silence costs the time limit, so there are as few as can be."""
    gate = Gate(make_mosquitto().port)
    gate.ignores = {V5}
    options = replace(QUICK, connect_timeout=0.5)
    async with gate.connection(options=options) as connection:
        assert await connection.wait_connected(SECONDS)
    assert [level for level, _ in gate.levels] == [V5, V311, V5, V311]
    gate.levels.clear()
    async with gate.listening() as address:
        publisher = Publisher(address, options=options)
        publisher.start()
        assert await publisher.wait_connected(SECONDS)
        await publisher.close()
    assert [level for level, _ in gate.levels] == [V5, V311, V5, V311]


async def test_a_broker_that_refuses_both_is_asked_for_both_again(make_mosquitto: MakeMosquitto) -> None:
    gate = Gate(make_mosquitto().port)
    gate.refuses = {V5: REFUSED, V311: REFUSED, V31: REFUSED}
    async with gate.connection() as connection:
        await gate.called(4)
        assert "Unsupported protocol version" in str(connection.problem)
        gate.refuses = {}
        assert await connection.wait_connected(SECONDS)
    # The oldest one is paho's own idea.
    assert [level for level, _ in gate.levels][:4] == [V5, V311, V31, V5]


async def test_the_warning_says_why_there_is_no_push(caplog: pytest.LogCaptureFixture) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    broker = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    address = f"127.0.0.1:{port_of(broker.sockets[0])}"
    with heard("cl_client.mqtt", "No MQTT connection") as warned:
        async with broker, ComputeClient("http://127.0.0.1:1", mqtt_broker=address) as client:
            client.mqtt_monitor.start()
            await soon(warned.wait())
            assert not client.mqtt_monitor.is_connected
    assert "(the broker closed the connection without answering CONNECT)" in caplog.text


async def test_a_message_too_large_to_be_of_use_is_not_sent_at_all(make_mosquitto: MakeMosquitto) -> None:
    broker = make_mosquitto()
    gate = Gate(broker.port)
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async with gate.connection(on_messages=putting_into(came)) as connection:
        assert await connection.wait_connected(SECONDS)
        async with publishing(broker.url) as publisher:
            publisher.publish("a", bytes(QUICK.max_packet_size))
            publisher.publish("a", b"small")
        assert await soon(came.get()) == b"small"
