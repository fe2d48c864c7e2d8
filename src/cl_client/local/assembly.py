"""Puts the parts of a local server together, and takes them apart again in the opposite order."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn
from typing_extensions import override

from cl_client.local.announcer import Announcer
from cl_client.local.app import create_app
from cl_client.local.broker import EmbeddedBroker
from cl_client.local.job_folders import JobFolders
from cl_client.local.listener import bind_listener, url_of
from cl_client.local.quiet_logging import quiet_libraries
from cl_client.local.service import JobService
from cl_client.local.store import JobStore
from cl_client.local.workers import Worker, WorkerPool
from cl_client.mqtt_address import BrokerAddress
from cl_client.mqtt_connection import MQTTConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from fastapi import FastAPI

    from cl_client.local.settings import LocalServerSettings

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 2.0
_FLUSH_SECONDS = 5.0
_OPEN_REQUESTS_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a running server is reached."""

    base_url: str
    mqtt_url: str


@asynccontextmanager
async def running_server(settings: LocalServerSettings, data_dir: Path) -> AsyncGenerator[Endpoints]:
    """A server that accepts jobs while the context is open.

    Raises:
        OSError: A port is taken, or another server works with the data folder.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(quiet_libraries())
        listener = stack.enter_context(bind_listener(settings.host, settings.port, "HTTP server"))
        mqtt_url = settings.mqtt_url or await _start_broker(stack, settings)
        folders = JobFolders(data_dir)
        await asyncio.to_thread(folders.prepare)
        store = await JobStore.open(data_dir / "jobs.sqlite3")
        stack.push_async_callback(store.close)
        requeued = await store.requeue_interrupted()
        if requeued:
            logger.info("%d jobs were interrupted by the end of the last server; they run again", requeued)
        connection = await _connect(stack, mqtt_url)
        announcer = Announcer(
            connection,
            settings.dialect,
            settings.available_tasks,
            announce_failures=not settings.strict_wire,
        )
        pool = _worker_pool(settings, store, announcer, folders.jobs)
        pool.start()
        stack.push_async_callback(pool.stop)
        await _start_http(stack, create_app(JobService(settings, store, folders, pool, announcer)), listener)
        yield Endpoints(base_url=url_of("http", listener), mqtt_url=mqtt_url)


async def _start_broker(stack: AsyncExitStack, settings: LocalServerSettings) -> str:
    """Start the embedded broker; its URL."""
    listener = stack.enter_context(bind_listener(settings.host, settings.mqtt_port, "MQTT broker"))
    broker = EmbeddedBroker(listener)
    await broker.start()
    stack.push_async_callback(broker.stop)
    return url_of("mqtt", listener)


async def _connect(stack: AsyncExitStack, mqtt_url: str) -> MQTTConnection:
    """Connect to the broker. One that is not there yet is no reason to refuse jobs: messages wait for it."""
    connection = MQTTConnection(BrokerAddress.parse(mqtt_url))
    connection.start()
    stack.push_async_callback(connection.close)

    async def send_the_rest() -> None:
        # Workers take their announcements back at the very end; without a broker there is nobody to tell.
        if connection.connected:
            await connection.flush(_FLUSH_SECONDS)

    stack.push_async_callback(send_the_rest)
    if not await connection.wait_connected(_CONNECT_SECONDS):
        logger.warning("The MQTT broker %s does not answer; events wait until it does", connection.address)
    return connection


def _worker_pool(
    settings: LocalServerSettings, store: JobStore, announcer: Announcer, jobs_folder: Path
) -> WorkerPool:
    # A broker may serve several servers: without a random part their workers would share topics.
    prefix = f"local-{secrets.token_hex(4)}"
    workers = [
        Worker(
            f"{prefix}-{number}",
            tasks=settings.offered_tasks,
            store=store,
            announcer=announcer,
            jobs_folder=jobs_folder,
            models=settings.models,
            poll_interval=settings.poll_interval,
        )
        for number in range(1, settings.worker_count + 1)
    ]
    return WorkerPool(workers, heartbeat=settings.heartbeat, busy_heartbeat=not settings.strict_wire)


class _HTTPServer(uvicorn.Server):
    """uvicorn, with a way to wait until it accepts connections or has failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.accepting.set()


async def _start_http(stack: AsyncExitStack, app: FastAPI, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_OPEN_REQUESTS_SECONDS,
    )
    server = _HTTPServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")

    async def stop() -> None:
        server.should_exit = True
        await serving

    stack.push_async_callback(stop)
    await server.accepting.wait()
    if serving.done():
        await serving
