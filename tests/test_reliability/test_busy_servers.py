"""Servers that ask for pauses, or are away: what is put off, and what must not be."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest
from typing_extensions import override

from cl_client import ComputeClient, ComputeClientConfig
from cl_client._mqtt.types import MQTTMessage
from cl_client.testing import StubServer, http_response
from followers import Log
from patience import SECONDS, soon, within
from support import NO_SLOW_READS, free_port, publishing, reading_eagerly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support import Mosquitto

BUSY = [http_response(f"{status} Busy", headers="Retry-After: 300\r\n") for status in (503, 429)]


def job(job_id: str, status: str) -> bytes:
    values = {"job_id": job_id, "task_type": "hash", "status": status, "progress": 0}
    return http_response("200 OK", json.dumps(values))


def event(job_id: str, status: str) -> bytes:
    values = {"job_id": job_id, "event_type": status, "timestamp": 1, "progress": 0}
    return json.dumps(values).encode()


@pytest.mark.parametrize("busy", BUSY, ids=["503", "429"])
async def test_jobs_that_are_put_off_hold_up_neither_another_nor_their_own_end(
    busy: bytes, make_mosquitto: Callable[[], Mosquitto]
) -> None:
    broker, names = make_mosquitto(), [f"j{n}" for n in range(ComputeClientConfig().max_concurrent_reads)]
    files: dict[str, bytes | None] = {"ninth": job("ninth", "completed")}
    server = StubServer(busy, files=files)
    async with server.running(tls=None, mqtt_broker=broker.url, **NO_SLOW_READS) as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        logs = {name: Log() for name in names}
        for name, log in logs.items():
            client.subscribe_job_updates(name, log.progress, log.complete)
        await server.received(len(names))
        assert (await client.wait_for_job("ninth", timeout=SECONDS)).status == "completed"

        files["j0"] = job("j0", "completed")
        async with publishing(broker.url) as publisher:
            publisher.publish(client.config.events_topic, event("j0", "completed"))
        await logs["j0"].the_end()
    assert server.targets.count("/jobs/j1") == 1


async def test_a_job_that_is_put_off_is_not_read_before_whoever_else_wants_it(
    make_mosquitto: Callable[[], Mosquitto],
) -> None:
    broker, server = make_mosquitto(), StubServer(BUSY[0], files={"often": job("often", "processing")})
    async with reading_eagerly(server, broker.url) as client:
        first = asyncio.ensure_future(client.wait_for_job("busy"))
        await server.received(1)
        assert await client.mqtt_monitor.wait_connected(SECONDS)  # which has every job read
        second = asyncio.ensure_future(client.wait_for_job("busy", poll_interval=0.01))
        client.subscribe_job_updates("busy")
        client.subscribe_job_updates("often")
        await server.received(30)
        first.cancel()
        second.cancel()
        await asyncio.wait([first, second])
    assert server.targets.count("/jobs/busy") == 1


class LateServer(StubServer):
    """Answers nothing before its gate is open."""

    def __init__(self, *answers: bytes | None, files: Mapping[str, bytes | None]) -> None:
        super().__init__(*answers, files=files)
        self.gate = asyncio.Event()

    @override
    async def respond(self, head: bytes) -> bytes | None:
        await self.gate.wait()
        return await super().respond(head)


async def test_news_while_a_busy_answer_is_on_its_way_do_not_shorten_the_pause(
    make_mosquitto: Callable[[], Mosquitto],
) -> None:
    broker, server = make_mosquitto(), LateServer(BUSY[0], files={"often": job("often", "processing")})
    async with reading_eagerly(server, broker.url) as client:
        client.subscribe_job_updates("busy")
        await server.received(1)
        assert await client.mqtt_monitor.wait_connected(SECONDS)  # which asks for a second read
        server.gate.set()
        client.subscribe_job_updates("often")
        await server.received(30)
    assert server.targets.count("/jobs/busy") == 1


async def test_a_pause_is_over_when_the_server_has_told_of_the_job() -> None:
    files: dict[str, bytes | None] = {}
    server = StubServer(BUSY[0], files=files)
    async with reading_eagerly(server) as client:
        waiting = asyncio.ensure_future(client.wait_for_job("j"))
        await server.received(1)
        files["j"] = job("j", "processing")
        too_early = MQTTMessage(client.config.events_topic, event("j", "completed"), retain=False)
        client.mqtt_monitor.dispatch([too_early])
        await server.received(2)
        files["j"] = job("j", "completed")
        assert (await soon(waiting)).status == "completed"


async def test_a_wait_that_is_over_no_longer_says_how_often_its_job_is_read() -> None:
    server = StubServer(job("j", "processing"), files={"often": job("often", "processing")})
    async with server.running(tls=None, **NO_SLOW_READS) as client:
        client.subscribe_job_updates("j")
        waiting = asyncio.ensure_future(client.wait_for_job("j", poll_interval=0.01))
        await server.received(10)
        waiting.cancel()
        await asyncio.wait([waiting])
        before = server.targets.count("/jobs/j")
        often = asyncio.ensure_future(client.wait_for_job("often", poll_interval=0.01))
        await server.received(len(server.requests) + 100)
        often.cancel()
        await asyncio.wait([often])
    assert server.targets.count("/jobs/j") - before < 25


class CountingTransport(httpx.AsyncHTTPTransport):
    """Connects for each request anew, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = self.active = self.most = 0
        self._news = asyncio.Event()

    async def attempted(self, count: int) -> None:
        while self.attempts < count:
            self._news.clear()
            await self._news.wait()

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.attempts += 1
        self.active += 1
        self.most = max(self.most, self.active)
        self._news.set()
        try:
            return await super().handle_async_request(request)
        finally:
            self.active -= 1


async def test_a_server_that_is_away_is_asked_for_one_of_many_jobs_at_a_time() -> None:
    port, names, transport = free_port(), [f"j{number}" for number in range(1000)], CountingTransport()
    config = ComputeClientConfig.create(
        base_url=f"http://127.0.0.1:{port}", mqtt_broker="off", poll_min=0.01, poll_interval=0.01
    )
    async with ComputeClient(config=config, transport=transport) as client:
        waits = [asyncio.ensure_future(client.wait_for_job(name)) for name in names]
        async with within():
            await transport.attempted(config.max_concurrent_reads + 1)  # those of the beginning are over
            transport.most = 0
            await transport.attempted(config.max_concurrent_reads + 5)
            assert transport.most == 1

            server = StubServer(files={name: job(name, "completed") for name in names}, port=port)
            async with server.running():
                ended = await asyncio.gather(*waits)
    assert [job.job_id for job in ended] == names
