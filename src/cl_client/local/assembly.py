"""Starts the parts of a local server, and stops them in the opposite order."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from cl_client._core.threads import in_thread
from cl_client._mqtt.address import BrokerAddress, MQTTCredentials
from cl_client._mqtt.types import ConnectionOptions
from cl_client.local.auth.guard import Guard
from cl_client.local.auth.guest_mode import GuestMode
from cl_client.local.broker.announcer import Announcer
from cl_client.local.broker.embedded import EmbeddedBroker
from cl_client.local.broker.publisher import Publisher
from cl_client.local.http.app import create_app
from cl_client.local.http.server import start_http
from cl_client.local.http.share_access import ShareAccess, share_key
from cl_client.local.jobs.folders import JobFolders
from cl_client.local.jobs.service import JobService
from cl_client.local.jobs.shared_folders import SharedFolders
from cl_client.local.jobs.store import JobStore
from cl_client.local.net.listener import bind_listener, url_of
from cl_client.local.quiet_logging import quiet_libraries
from cl_client.local.workers.pool import Worker, WorkerPool
from cl_client.local.workers.process import TaskProcess

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from cl_client.local.auth.service import AuthService
    from cl_client.local.auth.tokens import TokenAuthority
    from cl_client.local.net.tls import TLSContexts
    from cl_client.local.settings import LocalServerSettings

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 2.0
_OWN_USER = "local-server"
_OWN_TOKEN_SECONDS = 10 * 365 * 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class RunningAuth:
    """A running auth service and its URL."""

    url: str
    service: AuthService


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where a running server is reached, and its parts that can be controlled while it runs."""

    base_url: str
    mqtt_url: str
    broker: str
    auth: RunningAuth | None
    announcer: Announcer
    pool: WorkerPool
    store: JobStore
    jobs: JobService

    async def resume_workers(self) -> None:
        """Start the workers again, if they were stopped; the jobs that were running start again."""
        if self.pool.size == 0:
            await self.store.requeue_interrupted()
            self.pool.start()


@asynccontextmanager
async def running_server(settings: LocalServerSettings, data_dir: Path) -> AsyncGenerator[RunningServer]:
    """Run a server that accepts jobs while the context is open.

    Args:
        settings: The server's settings.
        data_dir: Absolute path of the data folder; created if it does not exist.

    Yields:
        The URLs of the server, and its auth service.

    Raises:
        OSError: A port is in use, another server uses the data folder, or a broker does not start.
        ConfigurationError: The TLS files, or the token signing key in the data folder, are invalid; or
            folders are shared, and everyone could log in.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(quiet_libraries())
        for problem in settings.unfit_tasks.values():
            logger.warning("%s. Until then, the server does not offer it", problem)
        listener = stack.enter_context(bind_listener(settings.host, settings.port, "HTTP server"))
        # One process imports while the other parts start, and takes the first job at once. Those of the other
        # workers start when there are as many jobs: a machine may have many cores and one photo.
        first_process = TaskProcess()
        stack.push_async_callback(first_process.close)
        await first_process.warm_up()
        tls = await _load_tls(settings)
        folders = JobFolders(data_dir)
        await asyncio.to_thread(folders.prepare)
        store = await JobStore.open(data_dir / "jobs.sqlite3")
        stack.push_async_callback(store.close)
        # Nothing takes up such jobs on real servers: they stay in the state "processing".
        if not settings.real_faults and (requeued := await store.requeue_interrupted()):
            logger.info("%d jobs were interrupted when the last server stopped; they run again", requeued)
        http_tls = None if tls is None else tls.http
        auth = await _start_auth(stack, settings, data_dir, http_tls)
        if settings.shared and auth is not None:
            await auth.service.refuse_default_password("Folders cannot be shared")
        tokens = None if auth is None else auth.service.tokens
        mqtt_url, options = settings.mqtt_url, ConnectionOptions()
        broker = mqtt_url
        if mqtt_url is None:
            mqtt_url, broker, options = await _start_broker(stack, settings, tls, tokens)
        publisher = await _start_publisher(stack, mqtt_url, options, own_broker=settings.mqtt_url is None)
        announcer = Announcer(
            publisher,
            settings.dialect,
            settings.available_tasks,
            announce_failures=not settings.strict_wire,
        )
        shared = SharedFolders(folders=tuple(settings.shared), private=data_dir)
        pool = _worker_pool(settings, store, announcer, folders.jobs, shared, first_process=first_process)
        pool.start()
        stack.push_async_callback(pool.stop)
        service = JobService(settings, store, folders, pool, announcer.job_changed)
        guard = Guard(tokens, GuestMode(enabled=auth is None))
        shares = _share_access(stack, shared, guard, by_token=auth is not None)
        app = create_app(service, guard, shares)
        base_url = await start_http(stack, app, listener, http_tls)
        yield RunningServer(base_url, mqtt_url, broker or mqtt_url, auth, announcer, pool, store, service)


async def _load_tls(settings: LocalServerSettings) -> TLSContexts | None:
    """Load the TLS files if the settings name them."""
    if settings.tls is None:
        return None
    from cl_client.local.net.tls import load_tls  # with cryptography

    return await in_thread(load_tls, settings.tls)


def _share_access(
    stack: AsyncExitStack, shared: SharedFolders, guard: Guard, *, by_token: bool
) -> ShareAccess | None:
    if not shared.folders:
        return None
    if by_token:
        return ShareAccess(shared, guard, None)
    return ShareAccess(shared, guard, stack.enter_context(share_key()))


async def _start_auth(
    stack: AsyncExitStack, settings: LocalServerSettings, data_dir: Path, tls: ssl.SSLContext | None
) -> RunningAuth | None:
    """Start the auth service if the settings ask for one."""
    if settings.auth is None:
        return None
    # With PyJWT and cryptography, which a server without logins has no use for.
    from cl_client.local.auth.app import create_auth_app
    from cl_client.local.auth.service import AuthService

    listener = stack.enter_context(bind_listener(settings.host, settings.auth.port, "auth service"))
    service = await stack.enter_async_context(
        AuthService.open(data_dir / "auth", settings.auth, settings.dialect.user_claim)
    )
    return RunningAuth(await start_http(stack, create_auth_app(service), listener, tls), service)


async def _start_broker(
    stack: AsyncExitStack,
    settings: LocalServerSettings,
    tls: TLSContexts | None,
    tokens: TokenAuthority | None,
) -> tuple[str, str, ConnectionOptions]:
    """Start the embedded broker; return its URL, what it is, and the server's own options."""
    listener = stack.enter_context(bind_listener(settings.host, settings.mqtt_port, "MQTT broker"))
    checks = tokens if settings.mqtt_auth else None
    broker = EmbeddedBroker(
        listener,
        tls=None if tls is None else tls.mqtt,
        accepts_password=None if checks is None else checks.accepts,
        choice=settings.broker,
    )
    stack.push_async_callback(broker.stop)
    await broker.start()
    options = ConnectionOptions()
    if tls is not None:
        options = replace(options, make_ssl_context=lambda: tls.own_client)
    if checks is not None:
        from cl_client.local.auth.tokens import Claims

        # Valid for the broker only: user 0 does not exist, and the token has no permissions.
        nobody = Claims(user_id="0", permissions=[], is_admin=False)
        token = SecretStr(checks.issue(nobody, _OWN_TOKEN_SECONDS))
        own = MQTTCredentials(_OWN_USER, token)
        options = replace(options, credentials=lambda: own)
    return url_of("mqtt" if tls is None else "mqtts", listener), broker.description, options


async def _start_publisher(
    stack: AsyncExitStack, mqtt_url: str, options: ConnectionOptions, *, own_broker: bool
) -> Publisher:
    """Connect to the broker. If it is unreachable, jobs are still accepted and messages wait for it."""
    publisher = Publisher(BrokerAddress.parse(mqtt_url), options=options, wait_for_echo=own_broker)
    publisher.start()
    # Workers withdraw their announcements at the very end, just before this.
    stack.push_async_callback(publisher.close)
    if not await publisher.wait_connected(_CONNECT_SECONDS):
        logger.warning(
            "The MQTT broker %s is unreachable (%s); events are kept until it connects",
            publisher.address,
            publisher.problem or f"no answer within {_CONNECT_SECONDS:g} s",
        )
    return publisher


def _worker_pool(
    settings: LocalServerSettings,
    store: JobStore,
    announcer: Announcer,
    jobs_folder: Path,
    shared: SharedFolders,
    *,
    first_process: TaskProcess,
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
            shared=shared,
            models=settings.models,
            process=first_process if number == 1 else TaskProcess(),
            poll_interval=settings.poll_interval,
            before_job=settings.before_job,
        )
        for number in range(1, settings.worker_count + 1)
    ]
    return WorkerPool(workers, heartbeat=settings.heartbeat, busy_heartbeat=not settings.strict_wire)
