"""What a local server says while its broker comes and goes: bounded, in order, and no job's end is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.types import ConnectionOptions
from cl_client.local import LocalServer
from cl_client.local.broker.publisher import WINDOW, Publisher
from patience import NEVER, SECONDS, soon
from support import free_port, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.test_local.conftest import Caller, Listener

    from cl_client.local.tasks import TaskSpec
    from support import Mosquitto

    MakeMosquitto = Callable[..., Mosquitto]
    Eventually = Callable[[Callable[[], object]], None]

QUICK = ConnectionOptions(connect_timeout=10, reconnect_min=0.05, reconnect_max=0.1)
EVENTS = "inference/events"
WORKERS = "inference/workers"
_CONNACK = b"\x20\x03\x00\x00\x00"
"""Of MQTT 5: success."""


class Door:
    """A way to a broker, which is shut at first: then connections are refused.

    Args:
        broker_port: Where it leads.
    """

    def __init__(self, broker_port: int) -> None:
        self.address = BrokerAddress.parse("127.0.0.1", free_port())
        self._broker_port = broker_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.address.port)

    async def shut(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_broker = await asyncio.open_connection("127.0.0.1", self._broker_port)
        try:
            await asyncio.gather(_copy(reader, to_broker), _copy(upstream, writer))
        finally:
            for end in (writer, to_broker):
                end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def door_to(broker: Mosquitto) -> AsyncGenerator[Door]:
    door = Door(broker.port)
    try:
        yield door
    finally:
        await door.shut()


@contextlib.asynccontextmanager
async def publishing(address: BrokerAddress, limit: int = 1000) -> AsyncGenerator[Publisher]:
    publisher = Publisher(address, options=QUICK, limit=limit)
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    """What follows the fixed header of a packet below 128 bytes."""
    return await reader.readexactly((await reader.readexactly(2))[1])


def payloads(listener: Listener) -> list[bytes]:
    return [heard.payload for heard in listener.heard]


async def test_a_server_without_its_broker_keeps_the_ends_of_jobs_and_little_else(
    make_mosquitto: MakeMosquitto,
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    listen: type[Listener],
    eventually: Eventually,
) -> None:
    broker = make_mosquitto()
    async with door_to(broker) as door:
        server = LocalServer(
            workers=1, mqtt_url=door.address.url, extra_tasks=scripted, heartbeat_interval=0.001
        )
        async with server:
            with listen(broker.url) as listener:

                def run_jobs() -> list[str]:
                    with call(server) as caller:
                        jobs = [caller.submit(action=action) for action in ("progress", "fail", "succeed")]
                        for job in jobs:
                            caller.ended(job)
                        return jobs

                jobs = await asyncio.to_thread(run_jobs)
                opened = time.time_ns() // 1_000_000
                await door.open()
                await asyncio.to_thread(eventually, lambda: len(listener.workers()) > 10)
                ends = [listener.events(job)[-1][0] for job in jobs]
                assert ends == ["completed", "error", "completed"]
                late = [heard for heard in listener.workers() if int(str(heard.body["timestamp"])) < opened]
                assert len(late) <= server.worker_count


async def test_too_much_for_the_outbox_costs_progress_and_heartbeats_first(
    make_mosquitto: MakeMosquitto,
    listen: type[Listener],
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, limit = make_mosquitto(), 30
    async with door_to(broker) as door, publishing(door.address, limit) as publisher:
        for number in range(200):
            publisher.publish(EVENTS, b"%03d progress" % number)
            publisher.publish(f"{WORKERS}/{number % 2}", b"%03d worker" % number, retain=True)
            if number % 10 == 0:
                publisher.publish(EVENTS, b"%03d end" % number, lasting=True)
            assert publisher.waiting <= limit
        ends = [b"%03d end" % number for number in range(0, 200, 10)]
        rest = [b"%03d progress" % number for number in range(192, 200)]
        workers = [b"198 worker", b"199 worker"]
        with listen(broker.url) as listener:
            await door.open()
            await asyncio.to_thread(eventually, lambda: len(listener.heard) >= limit)
            assert await publisher.flush()
            assert sorted(payloads(listener)) == sorted([*ends, *rest, *workers])
            assert payloads(listener) == sorted(payloads(listener))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert "dropping the oldest ones" in said[0]


async def test_lasting_messages_alone_are_bounded_too(unused_port: int) -> None:
    async with publishing(BrokerAddress.parse("127.0.0.1", unused_port), limit=10) as publisher:
        for number in range(25):
            publisher.publish(EVENTS, b"%d" % number, lasting=True)
        assert (publisher.waiting, publisher.dropped) == (10, 15)


async def test_a_restart_of_the_broker_loses_no_end(
    *,
    make_mosquitto: MakeMosquitto,
    listen: type[Listener],
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "cl_client.local.broker.publisher")
    broker = make_mosquitto()
    async with door_to(broker) as door, publishing(door.address) as publisher:
        await door.open()
        assert await publisher.wait_connected(SECONDS)
        with listen(broker.url) as before:
            publisher.publish(EVENTS, b"000", lasting=True)
            await asyncio.to_thread(eventually, lambda: payloads(before) == [b"000"])
        await asyncio.to_thread(broker.kill)
        for number in range(1, 300):
            publisher.publish(EVENTS, b"%03d" % number, lasting=True)
        await door.shut()
        await asyncio.to_thread(broker.start)
        with listen(broker.url) as after:
            await door.open()
            assert await publisher.flush(SECONDS)
            await asyncio.to_thread(eventually, lambda: payloads(after)[-1:] == [b"299"])
        assert payloads(after) == [b"%03d" % number for number in range(1, 300)]
    logged = [record.levelname for record in caplog.records if record.name.endswith("publisher")]
    assert logged[-2:] == ["WARNING", "INFO"], caplog.text
    assert "connection lost; events are kept until it connects again" in caplog.text
    assert "connected; before: " in caplog.text


async def test_a_whole_server_outlives_its_broker(
    make_mosquitto: MakeMosquitto,
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    listen: type[Listener],
    eventually: Eventually,
) -> None:
    broker = make_mosquitto()
    async with door_to(broker) as door:
        await door.open()
        async with LocalServer(workers=1, mqtt_url=door.address.url, extra_tasks=scripted) as server:
            await asyncio.to_thread(broker.kill)
            await door.shut()

            def run_job() -> str:
                with call(server) as caller:
                    job = caller.submit(action="fail")
                    caller.ended(job)
                    return job

            job = await asyncio.to_thread(run_job)
            await asyncio.to_thread(broker.start)
            with listen(broker.url) as listener:
                await door.open()
                await asyncio.to_thread(
                    eventually, lambda: [e[0] for e in listener.events(job)][-1:] == ["error"]
                )


async def test_what_was_not_acknowledged_is_sent_again_on_the_next_connection() -> None:
    connections: asyncio.Queue[list[bytes]] = asyncio.Queue()

    async def cut_the_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(_CONNACK)
        packets = [await read_packet(reader) for _ in range(2)]
        if connections.empty():
            writer.transport.abort()
        else:
            for packet in packets:
                writer.write(b"\x40\x02" + packet[3:5])
            await reader.read()
            writer.close()
        connections.put_nowait([packet[6:] for packet in packets])

    broker = await asyncio.start_server(cut_the_first, "127.0.0.1", 0)
    async with broker, publishing(BrokerAddress.parse("127.0.0.1", port_of(broker.sockets[0]))) as publisher:
        publisher.publish("a", b"first")
        publisher.publish("a", b"second", lasting=True)
        assert await publisher.flush(SECONDS)
        assert publisher.waiting == 0
    assert [await connections.get() for _ in range(2)] == [[b"first", b"second"]] * 2


async def test_a_broker_that_is_slow_is_given_no_more_than_it_may_have_at_once() -> None:
    first_window: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()

    async def acknowledge_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(_CONNACK)
        packets = [await read_packet(reader) for _ in range(WINDOW)]
        first_window.set_result([packet[6:] for packet in packets])
        await reader.read()
        writer.close()

    broker = await asyncio.start_server(acknowledge_late, "127.0.0.1", 0)
    async with broker:
        publisher = Publisher(BrokerAddress.parse("127.0.0.1", port_of(broker.sockets[0])), limit=2 * WINDOW)
        publisher.start()
        assert await publisher.wait_connected(SECONDS)
        for number in range(WINDOW):
            publisher.publish("a", b"%d" % number)
        assert await soon(first_window) == [b"%d" % number for number in range(WINDOW)]
        for number in range(10 * WINDOW):
            publisher.publish("a", b"%d" % number)
        assert (publisher.waiting, publisher.dropped) == (2 * WINDOW, 9 * WINDOW)
        assert not await publisher.flush(0.05)
        await soon(publisher.close(0.05))


@pytest.mark.parametrize("kind", ["refuses", "is silent", "is no name"])
async def test_closing_ends_where_the_broker_is_not_to_be_had(
    kind: str, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()
        writer.close()

    called = asyncio.Event()
    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent:
        port = port_of(silent.sockets[0]) if kind == "is silent" else unused_port
        host = "no-such-host.invalid" if kind == "is no name" else "127.0.0.1"
        publisher = Publisher(BrokerAddress.parse(host, port), options=replace(QUICK, connect_timeout=NEVER))
        publisher.start()
        if kind == "is silent":
            await soon(called.wait())
        publisher.publish(EVENTS, b"never sent", lasting=True)
        assert not publisher.connected
        await soon(publisher.close())
        await publisher.close()
    assert "closed before 1 messages were sent (" in caplog.text


async def test_a_broker_that_refuses_messages_is_told_of_once(
    make_mosquitto: MakeMosquitto, caplog: pytest.LogCaptureFixture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rules = tmp_path_factory.mktemp("rules") / "acl"
    rules.write_text("topic read #\n")
    rules.chmod(0o700)
    broker = make_mosquitto(f"allow_anonymous true\nacl_file {rules}")
    async with publishing(BrokerAddress.parse(broker.url)) as publisher:
        for _ in range(3):
            publisher.publish(EVENTS, b"not for you")
        assert await publisher.flush(SECONDS)
    assert caplog.text.count("refuses messages on inference/events") == 1


async def test_a_fault_on_the_way_to_a_connection_costs_this_one_only(
    make_mosquitto: MakeMosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [KeyError("user")]

    def credentials() -> None:
        if faults:
            raise faults.pop()

    address = BrokerAddress.parse(make_mosquitto().url)
    publisher = Publisher(address, options=replace(QUICK, credentials=credentials))
    publisher.start()
    assert await publisher.wait_connected(SECONDS)
    assert publisher.problem == "cannot connect, unexpected error: KeyError('user')"
    await publisher.close()
    assert "KeyError: 'user'" in caplog.text


async def test_a_broker_that_only_speaks_mqtt_3_1_1_gets_it(
    server: LocalServer, listen: type[Listener], eventually: Eventually
) -> None:
    with listen(server.mqtt_url) as listener:
        async with publishing(BrokerAddress.parse(server.mqtt_url)) as publisher:
            publisher.publish(f"{WORKERS}/guest", b"{}", retain=True)
            publisher.publish(f"{WORKERS}/guest", b"", retain=True, lasting=True)
            assert await publisher.flush(SECONDS)
        await asyncio.to_thread(
            eventually,
            lambda: b"" in [heard.payload for heard in listener.workers() if "guest" in heard.topic],
        )
