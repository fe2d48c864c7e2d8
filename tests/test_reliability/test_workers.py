"""Workers that come, go and vanish, and servers that cannot say which are there."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING

import paho.mqtt.publish
import pytest

from cl_client import (
    ClientClosedError,
    ComputeClient,
    ComputeClientConfig,
    InvalidRequestError,
    NoAuthProvider,
    WorkerUnavailableError,
)
from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from cl_client._mqtt.types import MQTTMessage
from cl_client.testing import StubServer, http_response
from patience import BRIEF, FACTOR, SECONDS, soon, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client import WorkerCapability
    from cl_client.local import LocalServer

READY = http_response("200 OK", '{"num_workers": 1, "capabilities": {"hash": 1}}')


class Workers:
    """What a subscriber was told: each time, who is idle."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[dict[str, bool]] = asyncio.Queue()

    def __call__(self, workers: dict[str, WorkerCapability]) -> None:
        self.told.put_nowait({name: worker.idle_count > 0 for name, worker in workers.items()})

    async def next(self) -> dict[str, bool]:
        return await soon(self.told.get())


def announcement(name: str, idle: int = 1, *, timestamp: object = None, retain: bool = False) -> MQTTMessage:
    stamp = round(time.time() * 1000) if timestamp is None else timestamp
    payload = {"id": name, "capabilities": ["hash"], "idle_count": idle, "timestamp": stamp}
    return MQTTMessage(f"inference/workers/{name}", json.dumps(payload).encode(), retain)


def client_of_nobody(**settings: object) -> ComputeClient:
    values = {"base_url": "http://127.0.0.1:1", "mqtt_broker": "off", **settings}
    return ComputeClient(config=ComputeClientConfig.create(**values))


async def test_a_worker_that_was_killed_is_told_to_have_gone() -> None:
    async with client_of_nobody(worker_stale_after=FACTOR) as client:
        workers = Workers()
        client.subscribe_worker_updates(workers)
        client.mqtt_monitor.dispatch([announcement("one"), announcement("two")])
        assert await workers.next() == {"one": True}
        assert await workers.next() == {"one": True, "two": True}
        gone = await workers.next()
        if gone:  # they announced themselves one after the other
            gone = await workers.next()
        assert gone == client.mqtt_monitor.workers() == {}


async def test_heartbeats_are_no_news() -> None:
    async with client_of_nobody() as client:
        workers = Workers()
        client.subscribe_worker_updates(workers)
        for beats in ((1, 1, 1), (0, 0), (1,)):
            client.mqtt_monitor.dispatch([announcement("one", idle) for idle in beats])
            assert await workers.next() == {"one": beats[0] == 1}
        late = Workers()
        client.subscribe_worker_updates(late)
        assert await late.next() == {"one": True}
        assert workers.told.empty()


async def test_looks_for_work_are_no_news() -> None:
    """A worker says that it is busy, and at once that it is idle, whenever it looks for a job."""
    async with client_of_nobody() as client:
        workers = Workers()
        client.subscribe_worker_updates(workers)
        for _ in range(3):
            client.mqtt_monitor.dispatch([announcement("one", idle) for idle in (1, 0, 1)])
        assert await workers.next() == {"one": True}
        client.mqtt_monitor.dispatch([announcement("two")])
        assert await workers.next() == {"one": True, "two": True}
        # One that has been busy for a while is reported, though the other keeps looking.
        client.mqtt_monitor.dispatch([announcement("one", 0), announcement("two", 0), announcement("two")])
        assert await workers.next() == {"one": False, "two": True}
        assert workers.told.empty()


@pytest.mark.parametrize(
    "timestamp",
    [10**400, 1e300, "yesterday", [], -(10**400)],
    ids=["huge", "large", "word", "list", "negative"],
)
async def test_an_absurd_timestamp_costs_nothing_but_that_worker(timestamp: object) -> None:
    async with client_of_nobody() as client:
        absurd = announcement("one", timestamp=timestamp, retain=True)
        client.mqtt_monitor.dispatch([absurd, announcement("two", retain=True)])
        assert list(client.mqtt_monitor.workers()) == ["two"]


async def test_what_was_announced_while_there_was_push_refuses_no_job_afterwards() -> None:
    capabilities = http_response("200 OK", '{"num_workers": 1, "capabilities": {"exif": 1}}')
    job = http_response("200 OK", '{"job_id": "j", "task_type": "exif", "status": "queued"}')
    server = StubServer(files={"capabilities": capabilities, "exif": job})
    async with server.running() as client:
        client.mqtt_monitor.dispatch([announcement("one")])  # which serves no exif
        assert not client.mqtt_monitor.is_connected
        assert (await client.exif.extract(b"x", require_worker=True)).job_id == "j"
        with pytest.raises(WorkerUnavailableError):
            await client.hash.compute(b"x", require_worker=True)


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "503 Busy", "429 Slow down"])
async def test_a_server_that_is_not_there_yet_is_waited_for(
    status: str, caplog: pytest.LogCaptureFixture
) -> None:
    down = http_response(status, headers="Retry-After: 0\r\n")
    async with StubServer(down, down, READY).running(max_retries=0) as client:
        assert await client.wait_for_workers(["hash"], timeout=SECONDS) == {"hash": 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_server_that_stays_away_is_the_reason_given() -> None:
    async with StubServer(http_response("500 Oops")).running(max_retries=0) as client:
        with pytest.raises(WorkerUnavailableError) as caught:
            await client.wait_for_workers(["hash"], timeout=BRIEF)
    assert "500 Oops" in str(caught.value.__cause__)


async def test_a_wrong_address_is_not_waited_for() -> None:
    async with StubServer(http_response("404 Not Found")).running() as client:
        with pytest.raises(InvalidRequestError):
            await client.wait_for_workers(["hash"], timeout=SECONDS)


@pytest.mark.parametrize(
    "topic",
    [
        "other/one",
        "inference/workers",
        "inference/workers/",
        "inference/workers/a/b",
        "x/inference/workers/one",
    ],
)
async def test_only_a_workers_own_topic_announces_one(topic: str) -> None:
    async with client_of_nobody() as client:
        for payload in (announcement("one").payload, b"", b"not of this library"):
            client.mqtt_monitor.dispatch([MQTTMessage(topic, payload, retain=True)])
        assert client.mqtt_monitor.workers() == {}
        assert (client.mqtt_monitor.malformed, client.mqtt_monitor.unasked) == (0, 3)


async def test_what_is_retained_for_others_is_no_worker(local_server: Callable[..., LocalServer]) -> None:
    server = local_server()
    broker = BrokerAddress.parse(server.mqtt_url)
    other = MQTTConnection(broker, topics=["other/+"])
    other.start()
    assert await other.wait_connected(SECONDS)

    async def publish(topic: str, name: str) -> None:
        payload = announcement(name).payload
        send = partial(
            paho.mqtt.publish.single, topic, payload, 1, retain=True, hostname=broker.host, port=broker.port
        )
        await asyncio.to_thread(send)

    await publish("other/thing", "thing")
    async with client_of_nobody(mqtt_broker=server.mqtt_url) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        await publish("inference/workers/one", "one")
        async with within():
            while "one" not in client.mqtt_monitor.workers():
                await client.mqtt_monitor.workers_changed.wait()
        assert "thing" not in client.mqtt_monitor.workers()
    await other.close()


async def test_closing_ends_a_wait_for_workers_that_push_tells_of(
    local_server: Callable[..., LocalServer], make_client: Callable[..., ComputeClient]
) -> None:
    async with make_client(local_server()) as client:
        workers = Workers()
        client.subscribe_worker_updates(workers)
        while not await workers.next():
            pass
        waiting = asyncio.ensure_future(client.wait_for_workers(["hash", "juggling"]))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ClientClosedError):
            await soon(waiting)


async def test_an_announcement_at_the_end_keeps_nothing_of_the_client_alive() -> None:
    provider = NoAuthProvider()
    async with ComputeClient("http://127.0.0.1:1", mqtt_broker="off", auth_provider=provider) as client:
        monitor = client.mqtt_monitor
        client.subscribe_job_updates("j")
        client.subscribe_worker_updates(Workers())
        await asyncio.sleep(0)  # the job is being read
    monitor.dispatch([announcement("one")])
    left = weakref.ref(provider)
    del client, monitor, provider
    await asyncio.sleep(0)
    gc.collect()
    assert left() is None  # no timer leads to it
