"""`with_options`: other timeouts, headers and waits over the same connections, session and followed jobs."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cl_client import (
    ClientClosedError,
    ComputeClient,
    ComputeClientConfig,
    ConfigurationError,
    InvalidParameterError,
    JobTimeoutError,
    RequestTimeoutError,
    ServerBusyError,
)
from cl_client.local import LocalServer
from cl_client.testing import StubServer, http_response
from followers import Log
from patience import SECONDS

HEALTHY = http_response("200 OK", '{"status": "healthy"}')
RUNNING = http_response("200 OK", '{"job_id": "j", "task_type": "hash", "status": "processing"}')


def mqtt_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("mqtt-")}


class OwnClient(ComputeClient):
    """As an application may have one."""


async def test_headers_are_added_to_those_of_the_client() -> None:
    server = StubServer(HEALTHY)
    async with server.running(extra_headers={"X-A": "one", "X-B": "two"}) as client:
        other = client.with_options(extra_headers={"X-B": "three", "X-C": "four"})
        await other.health()
        await other.with_options(max_retries=0).health()
        await client.health()
        await other.get_capabilities()
    heads = [request.decode().lower() for request in server.requests]
    assert ["x-a: one" in head for head in heads] == [True] * 4
    assert ["x-b: three" in head for head in heads] == [True, True, False, True]
    assert ["x-c: four" in head for head in heads] == [True, True, False, True]


async def test_timeouts_retries_and_waits_are_its_own() -> None:
    busy = http_response("503 Busy", headers="Retry-After: 600\r\n")
    server = StubServer(busy, files={"hangs": None, "j": RUNNING})
    async with server.running(timeout=600) as client:
        impatient = client.with_options(read_timeout=0.05, max_retries=0, wait_timeout=0.05)
        with pytest.raises(ServerBusyError):
            await impatient.health()
        with pytest.raises(RequestTimeoutError):
            await impatient.get_job("hangs")
        with pytest.raises(JobTimeoutError):
            await impatient.wait_for_job("j")
    assert len(server.targets) == len(set(server.targets))


async def test_jobs_push_and_connections_are_shared() -> None:
    server = LocalServer(workers=1)
    async with server, server.client() as client:
        assert await client.mqtt_monitor.wait_connected(SECONDS)
        log, connections = Log(), mqtt_threads()
        other = client.with_options(timeout=SECONDS)
        assert other.mqtt_monitor is client.mqtt_monitor
        job = await other.hash.compute(b"x", on_complete=log.complete)
        assert (await client.wait_for_job(job.job_id)).status == "completed"
        await log.the_end()
        assert await other.get_job(job.job_id, cache=True) is await client.get_job(job.job_id, cache=True)
        assert (other.reads, other.hash) == (client.reads, other.hash)
        assert other.hash is not client.hash
        assert mqtt_threads() == connections


async def test_a_subscription_of_the_one_is_ended_by_the_other() -> None:
    async with StubServer(RUNNING).running() as client:
        other, log = client.with_options(timeout=5), Log()
        subscription = other.subscribe_job_updates("j", log.progress, log.complete)
        await log.was_told("processing")
        client.unsubscribe(subscription)
        assert client.mqtt_monitor is other.mqtt_monitor


async def test_it_is_open_as_long_as_its_client_is() -> None:
    async with StubServer(HEALTHY).running() as client:
        async with client.with_options(timeout=5) as other:
            await other.health()
        await other.health()
        await asyncio.gather(client.close(), other.close())
        with pytest.raises(ClientClosedError):
            await other.health()
        async with client:
            await other.health()


def test_it_is_of_the_same_class_and_needs_no_loop() -> None:
    client = OwnClient(config=ComputeClientConfig(timeout=1))
    other = client.with_options(timeout=2, require_worker=True)
    assert type(other) is OwnClient
    assert (client.config.timeout, other.config.timeout, other.config.require_worker) == (1, 2, True)
    assert not client.reads


def test_what_is_shared_cannot_be_changed() -> None:
    with pytest.raises(InvalidParameterError, match="unknown option 'base_url'"):
        ComputeClient().with_options(base_url="http://other")  # pyright: ignore[reportCallIssue] - refused
    with pytest.raises(ConfigurationError, match="timeout"):
        ComputeClient().with_options(timeout=-1)
