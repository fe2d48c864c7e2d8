"""paho's pitfalls, each with a test that would catch it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from cl_client._mqtt.types import ConnectionOptions, ConnectionState, MQTTMessage
from cl_client.config import ComputeClientConfig
from patience import SECONDS, soon, within
from support import port_of, publishing
from tracked_jobs import Server, monitor_of, tracker_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client.local import LocalServer
    from support import Mosquitto

    MakeServer = Callable[..., LocalServer]
    MakeMosquitto = Callable[..., Mosquitto]

QUICK = ConnectionOptions(connect_timeout=10, reconnect_min=0.05, reconnect_max=0.1)


@pytest.fixture
def broker_url(local_server: MakeServer) -> str:
    return local_server().mqtt_url


class Received:
    """Messages, and a way to wait for a number of them."""

    def __init__(self) -> None:
        self.messages: list[MQTTMessage] = []
        self._more = asyncio.Event()

    def __call__(self, messages: list[MQTTMessage]) -> None:
        self.messages += messages
        self._more.set()

    async def count(self, number: int) -> list[MQTTMessage]:
        async with within():
            while len(self.messages) < number:
                self._more.clear()
                await self._more.wait()
        return self.messages


async def test_messages_come_in_order(broker_url: str) -> None:
    received = Received()
    connection = MQTTConnection(BrokerAddress.parse(broker_url), topics=["a/+"], on_messages=received)
    connection.start()
    connection.start()
    assert await connection.wait_connected(SECONDS)
    async with publishing(broker_url) as publisher:
        for number in range(100):
            publisher.publish("a/b", b"%d" % number)
    payloads = [message.payload for message in await received.count(100)]
    assert payloads == [b"%d" % number for number in range(100)]
    await connection.close()
    await connection.close()
    assert connection.state is ConnectionState.CLOSED
    assert not await connection.wait_connected(1)


async def test_messages_of_any_size_come_whole_and_in_order(broker_url: str) -> None:
    # Several are read at once, and others in several parts.
    payloads = [bytes([number % 256]) * (number * number % 50_000) for number in range(400)]
    received = Received()
    connection = MQTTConnection(BrokerAddress.parse(broker_url), topics=["a"], on_messages=received)
    connection.start()
    assert await connection.wait_connected(SECONDS)
    async with publishing(broker_url) as publisher:
        for payload in payloads:
            publisher.publish("a", payload)
        assert [message.payload for message in await received.count(400)] == payloads
    await connection.close()


async def test_a_broker_that_is_back_is_subscribed_to_again(make_mosquitto: MakeMosquitto) -> None:
    broker, received = make_mosquitto(), Received()
    states: asyncio.Queue[ConnectionState] = asyncio.Queue()
    connection = MQTTConnection(
        BrokerAddress.parse(broker.url),
        topics=["a"],
        on_messages=received,
        on_state=states.put_nowait,
        options=QUICK,
    )
    connection.start()
    assert await connection.wait_connected(SECONDS)
    await asyncio.to_thread(broker.kill)
    async with within():
        while await states.get() is not ConnectionState.DISCONNECTED:
            pass
    await asyncio.to_thread(broker.start)
    assert await connection.wait_connected(SECONDS)
    async with publishing(broker.url) as publisher:
        publisher.publish("a", b"again")
        assert (await received.count(1))[0].payload == b"again"
    await connection.close()


async def test_refused_credentials_are_told(make_mosquitto: MakeMosquitto) -> None:
    broker = make_mosquitto("allow_anonymous false")
    refused: asyncio.Event = asyncio.Event()

    def on_state(state: ConnectionState) -> None:
        if state is ConnectionState.REFUSED:
            refused.set()

    connection = MQTTConnection(BrokerAddress.parse(broker.url), on_state=on_state)
    connection.start()
    await soon(refused.wait())
    assert connection.problem is not None
    assert "refused the connection" in connection.problem
    await connection.close()


async def test_a_refused_subscription_is_not_taken_for_live() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # MQTT 5: CONNACK with success; SUBACK with the SUBSCRIBE's id and "not authorized".
        await read_packet(reader)
        writer.write(b"\x20\x03\x00\x00\x00")
        subscribe = await read_packet(reader)
        writer.write(b"\x90\x04" + subscribe[:2] + b"\x00\x87")
        await reader.read()
        writer.close()

    states: asyncio.Queue[ConnectionState] = asyncio.Queue()
    broker = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with broker:
        address = BrokerAddress.parse("127.0.0.1", port_of(broker.sockets[0]))
        connection = MQTTConnection(address, topics=["a"], on_state=states.put_nowait, options=QUICK)
        connection.start()
        seen = [await soon(states.get()) for _ in range(2)]
        assert connection.problem == "the broker refused the subscription to a"
        await connection.close()
    assert seen == [ConnectionState.CONNECTING, ConnectionState.DISCONNECTED]


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    """What follows the fixed header of a packet below 128 bytes."""
    return await reader.readexactly((await reader.readexactly(2))[1])


async def test_a_fault_inside_a_callback_of_paho_costs_one_connection_only(
    broker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    states: asyncio.Queue[ConnectionState] = asyncio.Queue()
    # paho itself raises for this filter, inside the callback that subscribes.
    connection = MQTTConnection(
        BrokerAddress.parse(broker_url), topics=["a/#/b"], on_state=states.put_nowait, options=QUICK
    )
    connection.start()
    async with within():
        for _ in range(2):
            while await states.get() is not ConnectionState.DISCONNECTED:
                pass
    await connection.close()
    assert "Invalid subscription filter" in caplog.text


@pytest.mark.parametrize("fault", [RuntimeError("sealed"), KeyError("user"), OverflowError()], ids=repr)
async def test_a_fault_on_the_way_to_a_connection_costs_this_one_only(
    broker_url: str, fault: Exception
) -> None:
    faults = [fault]

    def credentials() -> None:
        if faults:
            raise faults.pop()

    states: asyncio.Queue[ConnectionState] = asyncio.Queue()
    options = dataclasses.replace(QUICK, connect_timeout=10, credentials=credentials)
    connection = MQTTConnection(
        BrokerAddress.parse(broker_url), topics=["a"], on_state=states.put_nowait, options=options
    )
    connection.start()
    async with within():
        while await states.get() is not ConnectionState.DISCONNECTED:
            pass
        assert repr(fault) in str(connection.problem)
        while await states.get() is not ConnectionState.CONNECTED:
            pass
    await connection.close()


# paho leaves it to Python to close the socket of a web socket that did not come about.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_web_socket_whose_answer_paho_stumbles_over_is_tried_again() -> None:
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        # paho wants a space after the colon, which HTTP does not.
        lines = [
            b"HTTP/1.1 101 Yes",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept:x",
        ]
        writer.write(b"\r\n".join([*lines, b"", b""]))
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    broker = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with broker:
        address = BrokerAddress.parse(f"ws://127.0.0.1:{port_of(broker.sockets[0])}/mqtt")
        connection = MQTTConnection(address, options=QUICK)
        connection.start()
        for _ in range(2):
            await soon(asked.get())
        await connection.close()
    assert "cannot connect, unexpected error: IndexError" in str(connection.problem)


async def test_a_host_that_never_answers_is_given_up() -> None:
    connections: asyncio.Queue[bytes] = asyncio.Queue()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.put_nowait(await reader.read(100))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        address = BrokerAddress.parse("127.0.0.1", port_of(server.sockets[0]))
        options = replace(QUICK, connect_timeout=0.5)
        connection = MQTTConnection(address, topics=["a"], options=options)
        connection.start()
        for _ in range(2):
            assert await soon(connections.get())
        await connection.close()
    assert connection.problem is not None
    assert "CONNECT timed out" in connection.problem


async def test_a_name_that_does_not_resolve_and_a_closed_port(unused_port: int) -> None:
    for host in ("no-such-host.invalid", "127.0.0.1"):
        states: asyncio.Queue[ConnectionState] = asyncio.Queue()
        address = BrokerAddress.parse(host, unused_port)
        connection = MQTTConnection(address, on_state=states.put_nowait, options=QUICK)
        connection.start()
        async with within():
            while await states.get() is not ConnectionState.DISCONNECTED:
                pass
        assert connection.problem is not None
        assert "cannot connect" in connection.problem
        await connection.close()


async def test_what_the_loop_cannot_take_is_dropped_and_said(broker_url: str) -> None:
    received, overflowed = Received(), asyncio.Event()
    connection = MQTTConnection(
        BrokerAddress.parse(broker_url),
        topics=["a"],
        on_messages=received,
        on_overflow=overflowed.set,
        options=ConnectionOptions(queue_limit=0),
    )
    connection.start()
    assert await connection.wait_connected(SECONDS)
    async with publishing(broker_url) as publisher:
        publisher.publish("a", b"one too many")
        await soon(overflowed.wait())
    assert connection.dropped == 1
    assert received.messages == []
    await connection.close()


def test_a_loop_that_was_closed_without_close_ends_the_thread(local_server: MakeServer) -> None:
    connection = MQTTConnection(BrokerAddress.parse(local_server().mqtt_url))

    async def abandon() -> None:
        connection.start()
        assert await connection.wait_connected(SECONDS)

    asyncio.run(abandon())
    connection.detach()


async def test_hostile_payloads_are_survived_and_counted(broker_url: str) -> None:
    config = ComputeClientConfig.create(mqtt_broker=broker_url)
    server = Server(AssertionError("nobody follows a job"))
    tracker = tracker_of(server.read, config)
    monitor, workers = monitor_of(tracker, config)
    monitor.start()
    assert await monitor.wait_connected(SECONDS)
    hostile = [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"job_id": 5}',
        b"x" * 100_000,
        b'{"job_id":' + b"[" * 5000,
    ]
    worker = b'{"id": "wrong", "capabilities": ["hash"], "idle_count": 1, "timestamp": 1}'
    async with publishing(broker_url) as publisher:
        for payload in hostile:
            publisher.publish(config.events_topic, payload)
            publisher.publish(f"{config.workers_topic}/w9", payload)
        publisher.publish(f"{config.workers_topic}/w9", worker)
    async with within():
        while "w9" not in monitor.workers():
            await monitor.workers_changed.wait()
    # An empty payload on a worker's topic is its good-bye.
    assert monitor.malformed == 2 * len(hostile) - 1
    await monitor.close()
    await workers.close()
    await tracker.close()
    assert not server.reads


async def test_callbacks_for_workers_that_raise_hang_or_are_coroutines(broker_url: str) -> None:
    config = ComputeClientConfig.create(mqtt_broker=broker_url)
    server = Server(AssertionError("nobody follows a job"))
    tracker = tracker_of(server.read, config)
    monitor, workers = monitor_of(tracker, config)
    told = asyncio.Event()

    def fail(_workers: object) -> None:
        raise RuntimeError("a fault of the application")

    async def fail_later(_workers: object) -> None:
        raise RuntimeError("a fault of the application")

    async def hang(_workers: object) -> None:
        told.set()
        await asyncio.Event().wait()

    for callback in (fail, fail_later, hang):
        monitor.subscribe_worker_updates(callback)
    monitor.start()
    await soon(told.wait())
    await monitor.close()
    await workers.close()
    await tracker.close()
    assert not server.reads
