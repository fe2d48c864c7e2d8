"""Brokers that are connected and deliver nothing: kept from it by their rules, or standing still."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

import pytest

from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from cl_client._mqtt.types import ConnectionOptions, ConnectionState
from cl_client.testing import FaultyServer
from followers import Log
from patience import NEVER, SECONDS, soon, within
from support import heard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client import ComputeClient
    from cl_client.local import LocalServer
    from support import Mosquitto

    MakeServer = Callable[..., LocalServer]
    MakeClient = Callable[..., ComputeClient]
    MakeMosquitto = Callable[..., Mosquitto]

# Under push nothing is read in the time of a test; without it, soon.
READ_WITHOUT_PUSH = {"poll_min": NEVER, "poll_interval": 0.1, "poll_interval_push": NEVER}
LONGER_THAN_EVENTS_TAKE = 1.2


class GuardedBroker:
    """A Mosquitto that lets everybody publish, and nobody read."""

    def __init__(self, make_mosquitto: MakeMosquitto, acl: Path) -> None:
        self._acl = acl
        acl.write_text("topic write inference/#\n")
        self.broker = make_mosquitto(f"allow_anonymous true\nacl_file {acl}")

    def allow(self, rule: str) -> None:
        """Replace the rule; takes effect soon."""
        self._acl.write_text(f"{rule}\n")
        self.broker.signal(signal.SIGHUP)


@pytest.fixture
def guarded(make_mosquitto: MakeMosquitto, tmp_path: Path) -> GuardedBroker:
    return GuardedBroker(make_mosquitto, tmp_path / "acl")


@pytest.mark.skipif(
    not hasattr(signal, "SIGHUP"), reason="this system cannot tell Mosquitto to read its files"
)
async def test_a_broker_whose_acl_lets_nobody_read_events_is_found_out(
    local_server: MakeServer,
    make_client: MakeClient,
    guarded: GuardedBroker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "cl_client.mqtt")
    server = local_server(mqtt_url=guarded.broker.url, workers=3)
    async with FaultyServer(server) as faulty, make_client(server, **READ_WITHOUT_PUSH) as client:
        monitor = client.mqtt_monitor
        assert await monitor.wait_connected(SECONDS)
        # Three jobs that end with nobody hearing of it, but for waits that look for themselves.
        logs = [Log() for _ in range(3)]
        running = [faulty.hold_job(nth=nth) for nth in (1, 2, 3)]
        jobs = [
            await client.hash.compute(b"x", on_progress=log.progress, on_complete=log.complete)
            for log in logs
        ]
        for held in running:
            await soon(held.reached())
        assert monitor.is_live
        waits = [client.wait_for_job(job.job_id, poll_interval=LONGER_THAN_EVENTS_TAKE) for job in jobs]
        waiting = asyncio.gather(*waits)
        for log in logs:
            await log.was_told("processing")
        for held in running:
            held.release()
        await soon(waiting)
        assert monitor.is_connected
        assert not monitor.is_live

        assert (await client.hash.compute(b"x", wait=True, timeout=SECONDS)).status == "completed"
        (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert "topic read inference/events" in warning.getMessage()

        guarded.allow("topic readwrite inference/#")
        with heard("cl_client.mqtt", "arrive again") as again:
            while not again.is_set():  # the broker takes its time to read the file
                await client.hash.compute(b"x", wait=True, timeout=SECONDS)
        assert monitor.is_live
        job = await client.hash.compute(b"x", wait=True, timeout=SECONDS)
        assert job.status == "completed"
    assert len([record for record in caplog.records if "arrive again" in record.getMessage()]) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot make Mosquitto stand still")
async def test_a_broker_that_stands_still_is_noticed_and_told(make_mosquitto: MakeMosquitto) -> None:
    broker = make_mosquitto()
    states: asyncio.Queue[ConnectionState] = asyncio.Queue()
    connection = MQTTConnection(
        BrokerAddress.parse(broker.url),
        topics=["a"],
        on_state=states.put_nowait,
        options=ConnectionOptions(keepalive=1, connect_timeout=1, reconnect_min=0.05, reconnect_max=0.1),
    )
    connection.start()
    assert await connection.wait_connected(SECONDS)
    broker.signal(signal.SIGSTOP)
    async with within():
        while await states.get() is not ConnectionState.DISCONNECTED:
            pass
        assert connection.problem == "connection lost"
        while await states.get() is not ConnectionState.DISCONNECTED:
            pass
        assert "CONNECT timed out" in str(connection.problem)
        broker.signal(signal.SIGCONT)
        assert await connection.wait_connected(SECONDS)
    await connection.close()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot make Mosquitto stand still")
async def test_jobs_are_followed_while_a_broker_stands_still(
    local_server: MakeServer, make_client: MakeClient, make_mosquitto: MakeMosquitto
) -> None:
    server, broker = local_server(), make_mosquitto()
    async with make_client(server, mqtt_broker=broker.url, poll_min=0.1, poll_interval=0.1) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        broker.signal(signal.SIGSTOP)
        assert client.mqtt_monitor.is_live  # as far as can be known yet
        job = await client.hash.compute(b"x", wait=True, timeout=SECONDS)
        assert job.status == "completed"
    broker.signal(signal.SIGCONT)
