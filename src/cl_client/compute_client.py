"""`ComputeClient`: jobs, files, workers, and the nine plugins."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from typing_extensions import override

from cl_client._auth.providers import AuthProvider, NoAuthProvider
from cl_client._client.plugin_clients import PluginClients
from cl_client._client.runtime import InjectedParts, Runtime
from cl_client._core.deadlines import MIN_POLL_SECONDS, check_seconds
from cl_client._core.threads import running_loop
from cl_client._errors import ComputeClientError, ConfigurationError, InvalidParameterError
from cl_client._jobs.submission import Submission
from cl_client._jobs.waiting import Watcher, wait_for_end
from cl_client._jobs.worker_wait import wait_for_workers
from cl_client.config import ComputeClientConfig
from cl_client.models import JobResponse, ServerHealth

if TYPE_CHECKING:
    import ssl
    from collections import Counter
    from collections.abc import AsyncGenerator, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    import httpx

    from cl_client._client.admin import AdminClient
    from cl_client._jobs.read_queue import ReadReason
    from cl_client._transfers.sources import FileSource
    from cl_client.models import TaskOutput, WorkerCapabilities
    from cl_client.mqtt_monitor import MQTTJobMonitor, WorkerCallback
    from cl_client.options import JobCallback, SubmitOptions


class ComputeClient(PluginClients):
    """The client of a compute service: ``async with ComputeClient() as client``.

    Making one does no I/O and needs no running loop; connections open on first use and end in `close`. One
    client may serve several ``asyncio.run`` in turn, but not two loops at once.

    Args:
        base_url: The service's address, for instance ``http://server:8002``.
        timeout: Seconds for connecting, and for each single read or write of a request; not for a whole
            request, and not for a job. The config has one for each of these.
        mqtt_broker: Host, ``host:port`` or URL (``mqtt``, ``mqtts``, ``ws``, ``wss``), or ``"off"`` for HTTP
            alone; by default the server's host.
        mqtt_port: The broker's port where ``mqtt_broker`` names none.
        auth_provider: Who the client is; by default nobody, for servers in guest mode.
        config: Everything else; arguments given here win over it.
        pool_size: Idle connections that are kept.
        pool_maxsize: Requests at the same time; further ones wait their turn.
        ssl_context: For HTTP and MQTT, in place of the one that the config describes.
        http_client: Sends the HTTP requests in place of an own client: its TLS, proxies and pool, this
            client's address, credentials, timeouts and retries. It is not closed. An early refusal of an
            upload may reach it as a broken connection.
        transport: A transport for the own HTTP client, closed with it.

    Raises:
        ConfigurationError: A setting is unusable.
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
            raise ConfigurationError("Give either an http_client or a transport: a client has its own")
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
        self._injected = InjectedParts(ssl_context, http_client, transport)
        self._runtime: Runtime | None = None
        self._closing: set[Runtime] = set()

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every task, thread and connection. Idempotent; the next use opens new ones.

        Calls under way end in `ClientClosedError`. It takes up to ``mqtt_connect_timeout`` while a broker
        does not answer, and up to ``timeout`` while a job is deleted for ``delete_on_cancel``.

        Raises:
            ComputeClientError: It is in use on another event loop, which is not closed.
        """
        if self._runtime is not None:
            self._is_abandoned(self._runtime)
            self._closing.add(self._runtime)
            self._runtime = None
        for runtime in tuple(self._closing):  # also one that somebody else closes, or was cancelled at
            await (runtime.close_abandoned() if self._is_abandoned(runtime) else runtime.close())
            self._closing.discard(runtime)

    def _is_abandoned(self, runtime: Runtime) -> bool:
        """Whether its loop was closed; it must not be another one that is still in use."""
        if runtime.loop is running_loop():
            return False
        if not runtime.loop.is_closed():
            raise ComputeClientError(
                "This client is in use on another event loop; make one client for each loop, closed on it"
            )
        return True

    @override
    def _open(self) -> Runtime:
        """The resources of the running loop, made on first use."""
        runtime = self._runtime
        if runtime is not None and self._is_abandoned(runtime):
            runtime.abandon()
            runtime = None
        if runtime is None:
            running_loop()  # or this is no place for it
            runtime = self._runtime = Runtime(self.config, self._auth_provider, self._injected)
            runtime.start()
        return runtime

    @property
    def mqtt_monitor(self) -> MQTTJobMonitor:
        """The MQTT side of this client; needs a running loop."""
        return self._open().monitor

    @property
    def reads(self) -> Counter[ReadReason]:
        """How many HTTP reads of followed jobs there were, by their reason; for diagnosis and measuring."""
        return self._open().tracker.reads

    @override
    async def submit_job(
        self,
        task_type: str,
        source: FileSource,
        fields: Mapping[str, str],
        options: SubmitOptions[TaskOutput] | None = None,
    ) -> JobResponse:
        """Upload a file as a job of any task; the plugins' methods are the typed way to do so.

        Args:
            task_type: The task.
            source: The file.
            fields: Form fields of the request.
            options: See `SubmitOptions`.

        Returns:
            The job as it was queued; with ``wait``, the full job after its end.

        Raises:
            InvalidParameterError: The file or an option cannot be used; nothing was sent.
            UnknownTaskError: There is no such task.
            WorkerUnavailableError: ``require_worker`` was asked for, and nobody serves the task.
            ServerUnavailableError: The server cannot be reached, or hung up; `RequestTimeoutError`
                where the time was up. Its ``may_have_been_accepted`` says whether there may be a job.
            HTTPError: The server refused it.
            JobTimeoutError: With ``wait``, the time was up before the job had ended.
            JobFailedError: With ``wait`` and ``raise_on_failure``, the job failed or was deleted.
        """
        options = options or {}
        job = await Submission(self._open(), self.config, task_type, options).run(source, fields)
        return job.raise_for_status() if options.get("raise_on_failure") else job

    async def get_job(
        self,
        job_id: str,
        *,
        cache: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - retries and all
    ) -> JobResponse:
        """Read a job as it is now; calls at the same time share one request.

        Args:
            job_id: The job.
            cache: Take a job that has already ended from memory, if this client has seen its end. It does
                not notice that the job was deleted by somebody else.
            timeout: Seconds for the whole call, above 0; None for no limit.

        Raises:
            JobNotFoundError: There is no such job.
            RequestTimeoutError: The time is up.
        """
        runtime = self._open()
        async with runtime.http.within(timeout, f"Reading job {job_id}", self.config.job_path(job_id)):
            known = runtime.ended_jobs.get(job_id) if cache else None
            return known or await runtime.read_job_shared(job_id)

    async def delete_job(
        self,
        job_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - retries and all
    ) -> None:
        """Delete a job and its files, also while it runs.

        Args:
            job_id: The job.
            timeout: Seconds for the whole call, above 0; None for no limit.

        Raises:
            JobNotFoundError: There is no such job.
            RequestTimeoutError: The time is up; the job may have been deleted.
        """
        runtime, path = self._open(), self.config.job_path(job_id)
        async with runtime.http.within(timeout, f"Deleting job {job_id}", path, "DELETE"):
            await runtime.delete_job(job_id)

    async def wait_for_job(
        self,
        job_id: str,
        *,
        poll_interval: float | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - part of the interface
        raise_on_failure: bool = False,
        delete_on_cancel: bool | None = None,
    ) -> JobResponse:
        """Wait until a job has ended, and return it in full; needs nothing but its id.

        A server that is away, busy or at fault is waited for. What stays as it is ends the wait: a refusal at
        once; and ten answers in a row that are no job, or a 404 that names none, as a wrong address gives, or
        as many exceptions of an auth provider of one's own, which are raised as they are.

        Args:
            job_id: The job.
            poll_interval: The longest pause between two reads of the safety net under MQTT, 0.01 s or more.
            timeout: Seconds; None for the config's ``wait_timeout``.
            raise_on_failure: Raise `JobFailedError` for a job that failed.
            delete_on_cancel: Delete the job when this wait is cancelled or times out.

        Raises:
            JobTimeoutError: The time is up; it carries the last known job.
            JobNotFoundError: There is no such job, or it was deleted meanwhile.
            InvalidParameterError: That is not the id of a job, or a number is out of its range.
            InvalidRequestError: The server refuses to tell, or knows nothing of jobs at this address.
            InvalidResponseError: What answers at this address is no compute service.
            ClientClosedError: The client was closed meanwhile.
        """
        check_seconds("poll_interval", poll_interval, least=MIN_POLL_SECONDS)
        check_seconds("timeout", timeout)
        job = await wait_for_end(
            self._open(),
            job_id,
            self.config.wait_timeout if timeout is None else timeout,
            delete_on_cancel=self.config.delete_on_cancel if delete_on_cancel is None else delete_on_cancel,
            poll_interval=poll_interval,
        )
        return job.raise_for_status() if raise_on_failure else job

    async def watch_job(self, job_id: str) -> AsyncGenerator[JobResponse]:
        """Yield a job at every change that is seen; the last one is the full job.

        Raises:
            JobNotFoundError: There is no such job, or it was deleted meanwhile.
            InvalidParameterError: That is not the id of a job.
            ComputeClientError: It can no longer be read, for the reasons of `wait_for_job`.
        """
        tracker = self._open().tracker
        watcher = Watcher()
        subscription_id = tracker.follow(job_id, watcher)
        try:
            while True:
                update = await watcher.updates.get()
                if isinstance(update, Exception):
                    raise update
                yield update
                if update.status.is_terminal:
                    return
        finally:
            tracker.unfollow(subscription_id)

    def subscribe_job_updates(
        self,
        job_id: str,
        on_progress: JobCallback[TaskOutput] | None = None,
        on_complete: JobCallback[TaskOutput] | None = None,
    ) -> str:
        """Follow a job by its id; needs a running loop.

        Args:
            job_id: The job.
            on_progress: Called for each change of status or progress, in order, never after completion.
            on_complete: Called exactly once, with the full job; a job that was deleted meanwhile has the
                status ``deleted``.

        Returns:
            The subscription's id, for `unsubscribe`.
        """
        return self._open().monitor.subscribe_job_updates(job_id, on_progress, on_complete)

    def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription; others of the same job stay. Idempotent."""
        if self._runtime is not None:
            self._runtime.monitor.unsubscribe(subscription_id)

    @cached_property
    def admin(self) -> AdminClient:
        """Storage, cleanup and guest mode."""
        from cl_client._client.admin import AdminClient

        return AdminClient(lambda: self._open().http)

    async def health(self, *, timeout: float | None = None) -> ServerHealth:  # noqa: ASYNC109 - retries and all
        """Service, version and guest mode of the server.

        Args:
            timeout: Seconds for the whole call, above 0; None for no limit.

        Raises:
            RequestTimeoutError: The time is up.
        """
        http = self._open().http
        async with http.within(timeout, "Asking for the server's health", "/"):
            return await http.get("/", ServerHealth)

    async def get_capabilities(
        self,
        *,
        cache: bool = False,
        ttl: float = 60.0,
        timeout: float | None = None,  # noqa: ASYNC109 - retries and all
    ) -> WorkerCapabilities:
        """How many workers are idle, per task type.

        Args:
            cache: Take the last answer if it is not too old; only a new answer is asked for otherwise.
            ttl: Seconds for which an answer may be taken again, above 0.
            timeout: Seconds for the whole call, above 0; None for no limit.

        Raises:
            InvalidParameterError: ``ttl`` or ``timeout`` is not above 0.
            RequestTimeoutError: The time is up.
        """
        if ttl <= 0:
            raise InvalidParameterError(f"ttl={ttl!r}: must be above 0 seconds")
        runtime = self._open()
        async with runtime.http.within(timeout, "Reading the workers' capabilities", "/capabilities"):
            return await runtime.read_capabilities(max_age=ttl if cache else 0.0)

    async def wait_for_workers(
        self,
        required_capabilities: Iterable[str],
        timeout: float | None = None,  # noqa: ASYNC109 - part of the interface
    ) -> dict[str, int]:
        """Wait until every one of these tasks is served by a worker, idle or busy.

        Args:
            required_capabilities: Task types, or the name of one.
            timeout: Seconds; None for the config's ``wait_timeout``.

        Returns:
            Idle workers per task type.

        Raises:
            WorkerUnavailableError: The time is up; names what is missing.
        """
        check_seconds("timeout", timeout)
        one = isinstance(required_capabilities, str)
        required = {required_capabilities} if one else set(required_capabilities)
        seconds = self.config.wait_timeout if timeout is None else timeout
        return await wait_for_workers(self._open(), required, seconds)

    def subscribe_worker_updates(self, callback: WorkerCallback) -> str:
        """Call back with the workers whenever one comes, goes, or turns busy or idle; needs a running loop.

        Args:
            callback: A function, plain or async, that is given all present workers by id. While it is busy,
                only the newest state is kept for it.

        Returns:
            The subscription's id, for `unsubscribe`.
        """
        return self._open().monitor.subscribe_worker_updates(callback)
