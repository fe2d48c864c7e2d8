"""`ComputeClient`: jobs, files, workers and plugins."""

from __future__ import annotations

from collections import Counter
from copy import copy
from functools import cached_property, partial
from typing import TYPE_CHECKING

from typing_extensions import override

from cl_client._auth.providers import AuthProvider, NoAuthProvider
from cl_client._client.plugin_clients import PluginClients
from cl_client._client.resources import Resources, SharedResources
from cl_client._client.runtime import InjectedParts, Runtime
from cl_client._client.server_state import ServerState
from cl_client._core.deadlines import MIN_POLL_SECONDS, check_seconds
from cl_client._errors import ConfigurationError
from cl_client._jobs.submission import Submission
from cl_client._jobs.waiting import Watcher
from cl_client.config import ComputeClientConfig
from cl_client.options import ClientOptions, check_options

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Mapping
    from types import TracebackType
    from typing import Self

    import httpx
    from typing_extensions import Unpack

    from cl_client._client.admin import AdminClient
    from cl_client._jobs.reader import ReadReason
    from cl_client.models import JobResponse, TaskOutput
    from cl_client.mqtt_monitor import MQTTJobMonitor
    from cl_client.options import ErrorCallback, FileSource, JobCallback, SubmitOptions


class ComputeClient(PluginClients, ServerState):
    """The client of a compute service: ``async with ComputeClient() as client``.

    The constructor does no I/O and needs no running loop. Connections open on first use and close in `close`;
    after that, only ``async with`` opens the client again. One client may be used in several ``asyncio.run``
    calls one after the other, but not on two loops at the same time.

    Args:
        base_url: The address of the service, for instance ``http://server:8002``.
        timeout: Timeout in seconds for connecting, and for each single read or write; not for a whole request
            or job. The config has separate settings for these.
        mqtt_broker: Host, ``host:port`` or URL (``mqtt``, ``mqtts``, ``ws``, ``wss``), or ``"off"`` for HTTP
            only; by default the host of the server.
        mqtt_port: The port of the broker, if ``mqtt_broker`` has none.
        auth_provider: Provides the credentials; None for servers in guest mode.
        config: All other settings; the arguments of this call take precedence.
        pool_size: Maximum number of idle connections.
        pool_maxsize: Maximum number of requests at the same time; further requests wait.
        ssl_context: Replaces the TLS settings of the config, for HTTP and MQTT.
        http_client: Sends the HTTP requests, with its own TLS, proxies and pool, and with the address,
            credentials, timeouts and retries of this client. It is not closed. If the server refuses an
            upload early, it may report a broken connection.
        transport: The transport of the client's own HTTP client, closed with it.

    Raises:
        ConfigurationError: A setting is invalid.
    """

    def __init__(
        self,
        base_url: str | None = None,
        timeout: float | None = None,
        mqtt_broker: str | None = None,
        mqtt_port: int | None = None,
        auth_provider: AuthProvider | None = None,
        *,
        config: ComputeClientConfig | None = None,
        pool_size: int | None = None,
        pool_maxsize: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
        http_client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if http_client is not None and transport is not None:
            raise ConfigurationError(
                "Give either http_client or transport: an http_client has its own transport"
            )
        given = {
            "base_url": base_url,
            "timeout": timeout,
            "mqtt_broker": mqtt_broker,
            "mqtt_port": mqtt_port,
            "pool_size": pool_size,
            "pool_maxsize": pool_maxsize,
        }
        self.config = config.replace(**given) if config else ComputeClientConfig.create(**given)
        self._auth_provider = auth_provider or NoAuthProvider()
        injected = InjectedParts(ssl_context, http_client, transport)
        self._resources = Resources(partial(Runtime, self.config, self._auth_provider, injected))

    async def __aenter__(self) -> Self:
        self._resources.reopen()
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every task, thread and connection. Idempotent; only ``async with`` opens the client again.

        Running calls raise `ClientClosedError`. Takes up to ``mqtt_connect_timeout`` if the broker does not
        answer, and up to ``timeout`` if a job is being deleted for ``delete_on_cancel``.

        Raises:
            ComputeClientError: The client is in use on another event loop that is not closed.
        """
        await self._resources.close()

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """Create a client with other timeouts, retries, headers or waits that shares everything else.

            quick = client.with_options(timeout=2, max_retries=0)

        It shares the connections, the MQTT session and the followed jobs of this client; either can end a
        subscription of the other. It is open as long as this client is open; closing it does nothing.

        Args:
            **changes: The settings to change; a setting that is None or not given is unchanged.

        Returns:
            The new client.

        Raises:
            InvalidParameterError: A setting is unknown, or cannot be changed here, such as ``base_url``.
            ConfigurationError: A value is invalid.
        """
        check_options("with_options", changes, ClientOptions.__optional_keys__)
        headers = {**self.config.extra_headers, **changes.get("extra_headers", {})}
        sibling = copy(self)
        sibling.config = self.config.replace(**{**changes, "extra_headers": headers})
        sibling._resources = SharedResources(self._resources, sibling.config)  # noqa: SLF001 - of the same class
        for made in ("_clients", "admin"):  # cached, and bound to this client
            vars(sibling).pop(made, None)
        return sibling

    @override
    def _open(self) -> Runtime:
        runtime = self._resources.made()
        runtime.monitor.start()
        return runtime

    @property
    def mqtt_monitor(self) -> MQTTJobMonitor:
        """The MQTT monitor of this client. Requires a running loop; reading it does not connect.

        Raises:
            ClientClosedError: The client is closed.
        """
        return self._resources.made().monitor

    @property
    def reads(self) -> Counter[ReadReason]:
        """The number of HTTP reads of followed jobs by reason, for diagnosis."""
        current = self._resources.current
        return Counter() if current is None else current.jobs.reader.counts

    @override
    async def submit_job(
        self,
        task_type: str,
        source: FileSource,
        fields: Mapping[str, str],
        options: SubmitOptions[TaskOutput] | None = None,
    ) -> JobResponse:
        """Upload a file as a job of any task. The methods of the plugins are the typed way to do so.

        Args:
            task_type: The task.
            source: The file.
            fields: Form fields of the request.
            options: See `SubmitOptions`; None for the defaults.

        Returns:
            The queued job; with ``wait``, the ended job.

        Raises:
            InvalidParameterError: The file or an option is invalid; nothing was sent.
            UnknownTaskError: The task is unknown.
            WorkerUnavailableError: ``require_worker`` is True, and no worker serves the task.
            ServerUnavailableError: The server is unreachable or closed the connection; `RequestTimeoutError`
                after a timeout. Its ``may_have_been_accepted`` says whether a job may exist.
            HTTPError: The server refused the request.
            JobTimeoutError: With ``wait``, the wait timed out.
            JobFailedError: With ``wait`` and ``raise_on_failure``, the job failed or was deleted.
        """
        options = options or {}
        job = await Submission(self._open().jobs, self.config, task_type, options).run(source, fields)
        return job.raise_for_status() if options.get("raise_on_failure") else job

    async def get_job(
        self,
        job_id: str,
        *,
        cache: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - includes retries
    ) -> JobResponse:
        """Read the current state of a job; concurrent calls share one request.

        Args:
            job_id: The job.
            cache: Return an ended job from memory if this client has read its end, even if another client has
                deleted it since. Default False.
            timeout: Timeout in seconds for the whole call, above 0; None for no limit.

        Returns:
            The job.

        Raises:
            JobNotFoundError: The job was not found.
            RequestTimeoutError: The call timed out.
        """
        runtime = self._open()
        async with runtime.http.within(timeout, f"Reading job {job_id}", self.config.job_path(job_id)):
            known = runtime.jobs.reader.known_end(job_id) if cache else None
            return known or await runtime.jobs.get(job_id)

    async def delete_job(
        self,
        job_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - includes retries
    ) -> None:
        """Delete a job and its files, even while it runs.

        Args:
            job_id: The job.
            timeout: Timeout in seconds for the whole call, above 0; None for no limit.

        Raises:
            JobNotFoundError: The job was not found.
            RequestTimeoutError: The call timed out; the job may have been deleted.
        """
        runtime, path = self._open(), self.config.job_path(job_id)
        async with runtime.http.within(timeout, f"Deleting job {job_id}", path, "DELETE"):
            await runtime.jobs.delete(job_id)

    async def wait_for_job(
        self,
        job_id: str,
        *,
        poll_interval: float | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - part of the interface
        raise_on_failure: bool = False,
        delete_on_cancel: bool | None = None,
    ) -> JobResponse:
        """Wait until a job has ended. Only its id is needed.

        The wait continues while the server is unreachable, busy or failing. It ends at once if the server
        refuses the read, and after ten other errors in a row: responses that are not a job, a 404 that is not
        about the job, as from a wrong address, or exceptions of your own auth provider, raised unchanged.

        Args:
            job_id: The job.
            poll_interval: Maximum seconds between two reads of the job, with or without MQTT, 0.01 or more;
                None for the config's.
            timeout: Timeout in seconds; None for the config's ``wait_timeout``.
            raise_on_failure: Raise `JobFailedError` if the job failed. Default False.
            delete_on_cancel: Delete the job if this wait is cancelled or times out; None for the config's.

        Returns:
            The ended job.

        Raises:
            JobTimeoutError: The wait timed out; the error has the last known job.
            JobNotFoundError: The job was not found, or was deleted during the wait.
            InvalidParameterError: ``job_id`` is invalid, or a number is out of range.
            InvalidRequestError: The server refuses the read, or has no jobs at this address.
            InvalidResponseError: The server at this address is not a compute service.
            ClientClosedError: The client was closed during the wait.
        """
        check_seconds("poll_interval", poll_interval, least=MIN_POLL_SECONDS)
        check_seconds("timeout", timeout)
        job = await self._open().jobs.wait(
            job_id,
            self.config.wait_timeout if timeout is None else timeout,
            delete_on_cancel=self.config.delete_on_cancel if delete_on_cancel is None else delete_on_cancel,
            poll_interval=poll_interval,
        )
        return job.raise_for_status() if raise_on_failure else job

    async def watch_job(self, job_id: str) -> AsyncGenerator[JobResponse]:
        """Iterate over the changes of a job.

        Args:
            job_id: The job.

        Yields:
            The job after each change of status or progress; the last one is the ended job.

        Raises:
            JobNotFoundError: The job was not found, or was deleted during the iteration.
            InvalidParameterError: ``job_id`` is invalid.
            ComputeClientError: The job cannot be read; see `wait_for_job`.
        """
        tracker = self._open().jobs.tracker
        watcher = Watcher()
        tracker.follow(job_id, watcher)
        try:
            while True:
                update = await watcher.updates.get()
                if isinstance(update, Exception):
                    raise update
                yield update
                if update.status.is_terminal:
                    return
        finally:
            tracker.unfollow(watcher)

    def subscribe_job_updates(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None = None,
        on_complete: JobCallback[TaskOutput] | None = None,
        on_error: ErrorCallback | None = None,
    ) -> str:
        """Subscribe callbacks to a job. Requires a running loop.

        Args:
            job_id: The job.
            on_progress: Called after each change of status or progress, in order, never after the end.
            on_complete: Called once with the ended job; a deleted job has the status ``deleted``.
            on_error: Called instead with the error if the server refuses to report the job ten times in a row
                (401, 403 and the like); the subscription ends.

        Returns:
            The id of the subscription, for `unsubscribe`.
        """
        return self._open().monitor.subscribe_job_updates(job_id, on_progress, on_complete, on_error)

    def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription; other subscriptions of the same job stay. Idempotent.

        Args:
            subscription_id: The id that the subscribing call returned.
        """
        if (current := self._resources.current) is not None:
            current.monitor.unsubscribe(subscription_id)

    @cached_property
    def admin(self) -> AdminClient:
        """Storage, cleanup and guest mode."""
        from cl_client._client.admin import AdminClient

        return AdminClient(lambda: self._open().http)
