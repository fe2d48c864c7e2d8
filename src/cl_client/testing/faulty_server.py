"""A real server whose jobs, responses and messages go wrong when a test says so."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cl_client._core.cancellation import run_uncancelled
from cl_client._core.threads import in_thread
from cl_client.local import LocalServer
from cl_client.local.net.tls import load_tls
from cl_client.testing.broker_proxy import BrokerProxy
from cl_client.testing.fault_proxy import FaultProxy
from cl_client.testing.faults import cut, http_response, reply
from cl_client.testing.job_faults import JobFaults

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Self

    from cl_client.auth import AuthProvider
    from cl_client.compute_client import ComputeClient
    from cl_client.testing.exchange import Fault
    from cl_client.testing.job_faults import HeldJob


class FaultyServer:
    """A local server that does its work, except for the faults that a test brings about.

        async with FaultyServer() as server, server.client() as client:
            server.fail_job("disk full", nth=2)
            server.respond_unavailable(retry_after=1)
            ...

    Clients reach it through a proxy for HTTP and one for MQTT, whose addresses stay when it restarts.

    Args:
        server: The server; None for one with one worker. One that is running already stays so in the end;
            its ``before_job`` is replaced meanwhile, so it has one `FaultyServer` at a time. Jobs survive a
            restart, unless the server was running already and has no ``data_dir``. With ``tls``, clients
            use https and mqtts here, too. The auth service is not proxied: its address is
            ``server.server.auth_url``, and a restart changes it unless ``auth_port`` is given.

    Attributes:
        http: The proxy for HTTP. It knows all requests, and more faults.
        broker: The proxy for MQTT.

    Raises:
        ConfigurationError: The TLS files of the server are invalid.
    """

    def __init__(self, server: LocalServer | None = None) -> None:
        self._server = server or LocalServer(workers=1)
        self._jobs = JobFaults()
        self._stack = AsyncExitStack()
        tls = None if self._server.settings.tls is None else load_tls(self._server.settings.tls)
        self.http = FaultProxy(
            "http://127.0.0.1",
            tls=None if tls is None else tls.http,
            ssl_context=None if tls is None else tls.own_client,
        )
        self.broker = BrokerProxy("mqtt://127.0.0.1")

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if not self._server.is_running:
                _ = stack.enter_context(_lasting_data_dir(self._server))
                _ = await stack.enter_async_context(self._server)
            before, self._server.before_job = self._server.before_job, self._jobs.before_job
            stack.callback(setattr, self._server, "before_job", before)
            # Also when cancelled: a server that was running already is used by others.
            stack.push_async_callback(lambda: run_uncancelled(self.clear_faults()))
            self._aim()
            _ = await stack.enter_async_context(self.http)
            _ = await stack.enter_async_context(self.broker)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_args: object) -> None:
        await run_uncancelled(self._stack.aclose())

    @property
    def base_url(self) -> str:
        """Where clients reach its HTTP interface."""
        return self.http.base_url

    @property
    def mqtt_url(self) -> str:
        """Where clients reach its broker."""
        return self.broker.mqtt_url

    @property
    def server(self) -> LocalServer:
        """The server behind the proxies."""
        return self._server

    def client(self, *, auth_provider: AuthProvider | None = None, **settings: object) -> ComputeClient:
        """Make a client that meets the faults.

        Args:
            auth_provider: Its credentials.
            **settings: Settings of `ComputeClientConfig`, by name.

        Returns:
            A client, to be closed by the caller.

        Raises:
            ConfigurationError: A setting is invalid.
        """
        return self.http.client(auth_provider=auth_provider, **{"mqtt_broker": self.mqtt_url, **settings})

    def fail_job(self, message: str, *, nth: int = 1, task_type: str | None = None) -> None:
        """Fail a job before its task runs.

        Args:
            message: The job's ``error_message``.
            nth: Which job from now on, in the order in which workers take them; 1 is the next.
            task_type: Count jobs of this task only, such as ``"hash"``; None for all.

        Raises:
            ValueError: ``nth`` is below 1.
        """
        self._jobs.fail(message, nth, task_type)

    def hold_job(self, *, at: int = 0, nth: int = 1, task_type: str | None = None) -> HeldJob:
        """Stop a job at some progress until it is released.

        Args:
            at: The progress that it reports before it stops, 0-100 percent.
            nth: Which job from now on, in the order in which workers take them; 1 is the next.
            task_type: Count jobs of this task only, such as ``"hash"``; None for all.

        Returns:
            The way to wait for it, and to let it go on.

        Raises:
            ValueError: ``nth`` is below 1, or ``at`` is not 0-100.
        """
        return self._jobs.hold(at, nth, task_type)

    def slow_jobs(self, seconds: float) -> None:
        """Let every job from now on wait before its task runs.

        Args:
            seconds: How long; 0 for no more.
        """
        self._jobs.delay = seconds

    async def stop_workers(self) -> None:
        """Stop all workers: jobs stay queued, and no worker is announced."""
        await in_thread(self._server.stop_workers)

    async def start_workers(self) -> None:
        """Start the workers again; jobs that were interrupted run from their beginning."""
        await in_thread(self._server.start_workers)

    def lose_push(self) -> None:
        """Lose every MQTT message from now on; connections to the broker stay, and look healthy."""
        self._server.lose_messages()

    async def cut_push(self) -> None:
        """Close all connections to the broker, and refuse new ones."""
        await self.broker.cut()

    def restore_push(self) -> None:
        """Undo `lose_push` and `cut_push`; what was lost stays lost."""
        self.broker.restore()
        if self._server.is_running:
            self._server.lose_messages(lost=False)

    def drop_connection(self, after: int = 0, *, times: int = 1, matching: str = "") -> None:
        """Close the connection within the next responses.

        Args:
            after: Bytes of the response that still arrive, counted from its status line.
            times: For how many requests.
            matching: A regular expression for ``"METHOD /path"``; empty for all requests.

        Raises:
            ValueError: ``after`` is negative, ``times`` is below 1, or ``matching`` is not a regular
                expression.
        """
        self.plan(cut(after), times, matching=matching)

    def respond_unavailable(
        self, retry_after: int | None = None, *, times: int = 1, matching: str = ""
    ) -> None:
        """Respond to the next requests with 503 Service Unavailable.

        Args:
            retry_after: Whole seconds for the header ``Retry-After``; None for no such header.
            times: To how many requests.
            matching: A regular expression for ``"METHOD /path"``; empty for all requests.

        Raises:
            ValueError: ``times`` is below 1, or ``matching`` is not a regular expression.
        """
        header = "" if retry_after is None else f"Retry-After: {retry_after}\r\n"
        self.plan(reply(http_response("503 Service Unavailable", headers=header)), times, matching=matching)

    def respond_unauthorized(self, *, times: int = 1, matching: str = "") -> None:
        """Respond to the next requests with 401 Unauthorized, as if the token had expired.

        Args:
            times: To how many requests.
            matching: A regular expression for ``"METHOD /path"``; empty for all requests.

        Raises:
            ValueError: ``times`` is below 1, or ``matching`` is not a regular expression.
        """
        body = '{"detail": "Not authenticated"}'
        headers = "Content-Type: application/json\r\nWWW-Authenticate: Bearer\r\n"
        self.plan(reply(http_response("401 Unauthorized", body, headers)), times, matching=matching)

    def plan(self, fault: Fault, times: int = 1, *, matching: str = "") -> None:
        """Deal so with the next HTTP requests for which nothing else is planned.

        Args:
            fault: One of `cl_client.testing.faults`, or a function of your own.
            times: With how many requests.
            matching: A regular expression for ``"METHOD /path"``; empty for all requests.

        Raises:
            ValueError: ``times`` is below 1, or ``matching`` is not a regular expression.
        """
        self.http.plan(fault, times, matching=matching)

    async def stop(self) -> None:
        """Stop the server: every connection breaks until `start`."""
        await self.broker.cut()
        await in_thread(self._server.stop)

    async def start(self) -> None:
        """Start the server that `stop` has stopped. Jobs that were interrupted run again."""
        await in_thread(self._server.start)
        self._aim()
        self.broker.restore()

    async def restart(self) -> None:
        """Stop the server, and start it again."""
        await self.stop()
        await self.start()

    async def clear_faults(self) -> None:
        """Undo everything: no fault is planned, held jobs are released, workers and push are there."""
        self.http.forget_plans()
        self._jobs.clear()
        if not self._server.is_running:
            await self.start()
        await self.start_workers()
        self.restore_push()

    def _aim(self) -> None:
        self.http.aim(self._server.base_url)
        self.broker.mqtt_broker = self._server.mqtt_url


@contextmanager
def _lasting_data_dir(server: LocalServer) -> Generator[None]:
    """Let the jobs of a server survive a restart, though it has no folder of its own."""
    before = server.settings
    if before.data_dir is not None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="cl-faulty-server-") as folder:
        server.settings = replace(before, data_dir=Path(folder))
        try:
            yield
        finally:
            server.settings = before
