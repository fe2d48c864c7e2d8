"""`LocalServer`: a complete compute service in one process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from cl_client._core.threads import in_thread
from cl_client.local.auth.settings import DEFAULT_ADMIN_PASSWORD, DEFAULT_TOKEN_LIFETIME, AuthSettings
from cl_client.local.models.users_models import users_models
from cl_client.local.server_thread import ServerThread
from cl_client.local.settings import DEFAULT_MAX_UPLOAD_BYTES, LocalServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from cl_client.auth import AuthProvider
    from cl_client.compute_client import ComputeClient
    from cl_client.config import ComputeClientConfig
    from cl_client.local.generations import Generation
    from cl_client.local.net.tls import ServerTLS
    from cl_client.local.settings import BrokerChoice
    from cl_client.local.tasks import TaskSpec
    from cl_client.local.tasks.job_hook import ClaimedJob, JobHook


class LocalServer:
    """A compute service that behaves like a CL Server, for trying things out and for tests.

    It runs in its own thread with its own event loop, so that a busy caller does not block it. Use it with
    ``async with`` or ``with``:

        async with LocalServer() as server, server.client() as client:
            job = await client.hash.compute("photo.jpg", wait=True)

    Args:
        host: The address to listen on.
        port: The HTTP port; 0 for a free one.
        mqtt_url: URL of the MQTT broker to use; None for the embedded broker.
        mqtt_port: The port of the embedded broker; 0 for a free one.
        broker: What the embedded broker is: ``"mosquitto"``, an installed Mosquitto, for MQTT 3.1.1 and 5;
            ``"amqtt"``, for MQTT 3.1.1 only; ``"auto"`` for Mosquitto if it is installed, and amqtt if not.
        data_dir: Folder for jobs and users. Unfinished jobs in it run again. None for a temporary folder that
            is removed at the end.
        workers: How many jobs run at once; None for one per core.
        generation: The CL Server generation to imitate: ``"A"``, ``"A1"``, ``"A2"``, ``"B"``, ``"C"`` or
            ``"C2"``, the newest. docs/local-server.md has a table of their differences.
        strict_wire: Omit the events that real servers omit. False publishes an event for every failure, and
            sends heartbeats of busy workers.
        real_faults: Fail where real servers of the generation fail, in their words. docs/local-server.md has
            a table of these faults.
        max_upload_bytes: Size limit of a submit's body in bytes; a larger one gets status 413.
        tasks: Names of the tasks to offer, also of other packages; None for all.
        extra_tasks: Additional tasks, by name. They replace others of the same name.
        third_party_tasks: Also know the tasks that installed packages register as entry points. One that
            cannot be offered is left out with a warning, unless ``tasks`` names it. False for tests whose
            results must not depend on what is installed.
        heartbeat_interval: Seconds between two announcements of a worker; None for the generation's value.
        poll_interval: Seconds that a worker without work waits before it looks for queued jobs again, as the
            workers of real servers do every 1 to 5 seconds. None to start a submitted job at once.
        models_dir: The only folder to search for models. None for the folder in the environment variable
            ``CL_CLIENT_MODELS`` or, if it is not set, the user's cache folder, where
            ``cl-client models pull`` saves them. A task whose model is missing is not announced.
        models: Model files to use instead, by the names that ``cl-client models list`` shows.
        auth: Run an auth service, and start with guest mode off, so that jobs need a token with the
            permission ``ai_inference_support`` or an admin's. Otherwise no token is needed.
        auth_port: The auth service's HTTP port; 0 for a free one.
        admin_password: The password of ``admin``, the first user of a new auth service; None for ``admin``.
            Users that exist in ``data_dir`` are not changed.
        token_lifetime: Seconds that a token is valid.
        clock_offset: Seconds by which the server's clock is ahead of the machine's when it issues and checks
            tokens; negative for a clock that is behind.
        tls: The files for https and mqtts. They do not apply to a broker given as ``mqtt_url``.
        mqtt_auth: Require a user name and, as the password, a valid token at the embedded broker. Needs
            ``auth``.
        shared: Folders whose files jobs may name instead of uploading them, see `cl_client.ServerPath`; they
            are only read. With ``auth``, jobs need a token, also in guest mode, and ``admin_password`` must
            be set. Without, they need a key that only the server's user can read, and ``host`` has to be a
            loopback address.
        before_job: Awaited on the server's own event loop before each task; see `JobHook`. For tests;
            `cl_client.testing` builds on it.

    Raises:
        ValueError: A setting is out of range, or conflicts with another one.
        ConfigurationError: A task of another package that ``tasks`` names cannot be offered.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        mqtt_url: str | None = None,
        mqtt_port: int = 0,
        broker: BrokerChoice = "auto",
        data_dir: Path | None = None,
        workers: int | None = None,
        generation: Generation = "C",
        strict_wire: bool = True,
        real_faults: bool = False,
        max_upload_bytes: int = DEFAULT_MAX_UPLOAD_BYTES,
        tasks: Sequence[str] | None = None,
        extra_tasks: Mapping[str, TaskSpec] | None = None,
        third_party_tasks: bool = True,
        heartbeat_interval: float | None = None,
        poll_interval: float | None = None,
        models_dir: Path | None = None,
        models: Mapping[str, Path] | None = None,
        auth: bool = False,
        auth_port: int = 0,
        admin_password: str | SecretStr | None = None,
        token_lifetime: float = DEFAULT_TOKEN_LIFETIME,
        clock_offset: float = 0.0,
        tls: ServerTLS | None = None,
        mqtt_auth: bool = False,
        shared: Sequence[Path] = (),
        before_job: JobHook | None = None,
    ) -> None:
        if admin_password is None:
            admin_password = DEFAULT_ADMIN_PASSWORD
        auth_settings = AuthSettings(
            port=auth_port,
            admin_password=SecretStr(admin_password) if isinstance(admin_password, str) else admin_password,
            token_lifetime=token_lifetime,
            clock_offset=clock_offset,
        )
        self.settings = LocalServerSettings(
            host=host,
            port=port,
            mqtt_url=mqtt_url,
            mqtt_port=mqtt_port,
            broker=broker,
            data_dir=data_dir,
            workers=workers,
            generation=generation,
            strict_wire=strict_wire,
            real_faults=real_faults,
            max_upload_bytes=max_upload_bytes,
            tasks=tasks,
            extra_tasks=extra_tasks or {},
            third_party_tasks=third_party_tasks,
            heartbeat_interval=heartbeat_interval,
            poll_interval=poll_interval,
            models=users_models(models_dir, models),
            auth=auth_settings if auth else None,
            tls=tls,
            mqtt_auth=mqtt_auth,
            shared=[Path(folder).absolute() for folder in shared],
            before_job=self._before_job,
        )
        self.before_job = before_job
        self._running: ServerThread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._running is not None

    @property
    def base_url(self) -> str:
        """The URL of the HTTP interface."""
        return self._thread().server.base_url

    @property
    def mqtt_url(self) -> str:
        """The URL of the MQTT broker."""
        return self._thread().server.mqtt_url

    @property
    def broker(self) -> str:
        """What the embedded broker is, and its versions of MQTT; the URL if there is another broker."""
        return self._thread().server.broker

    @property
    def auth_url(self) -> str:
        """The URL of the auth service.

        Raises:
            RuntimeError: The server has no auth service, or is not running.
        """
        return self._thread().auth.url

    @property
    def data_dir(self) -> Path:
        """The folder with the jobs."""
        return self._thread().data_dir

    def job_file(self, job_id: str, file_path: str) -> Path:
        """Find a file of a job on the disk, to read it without a request.

        Args:
            job_id: The job.
            file_path: The path of the file below the job, for instance ``output/thumbnail.jpg``.

        Returns:
            The absolute path of the file. It is the server's: copy it, and leave it as it is.

        Raises:
            FileNotFoundError: The job has no such file.
            RuntimeError: The server does not run.
        """
        from cl_client.local.jobs.folders import JobFolders, OutsideJobFolderError

        try:
            return JobFolders(self.data_dir).resolve(job_id, file_path)
        except (OutsideJobFolderError, IsADirectoryError) as exc:
            raise FileNotFoundError(file_path) from exc

    @property
    def task_types(self) -> tuple[str, ...]:
        """The tasks that are announced now: the offered ones whose models are present."""
        return self.settings.available_tasks()

    @property
    def worker_count(self) -> int:
        """The number of jobs that run at once."""
        return self.settings.worker_count

    def client(
        self,
        *,
        timeout: float | None = None,
        auth_provider: AuthProvider | None = None,
        config: ComputeClientConfig | None = None,
    ) -> ComputeClient:
        """Make a client of this server. The caller closes it.

        Args:
            timeout: Seconds that an HTTP request may take; None for the default of `ComputeClient`.
            auth_provider: Supplies tokens; None to send none.
            config: Settings of the client; None for the defaults.

        Returns:
            The client, not connected yet.
        """
        from cl_client.compute_client import ComputeClient

        return ComputeClient(
            base_url=self.base_url,
            mqtt_broker=self.mqtt_url,
            timeout=timeout,
            auth_provider=auth_provider,
            config=config,
        )

    def issue_token(self, username: str = "admin", *, lifetime: float | None = None) -> str:
        """Issue a token for a user without the password, for tests. Blocks for a moment.

        Args:
            username: The user to issue it for.
            lifetime: Seconds that it is valid, negative for an expired token; None for ``token_lifetime``.

        Returns:
            The token, a JWT.

        Raises:
            LookupError: The user was not found.
            RuntimeError: The server has no auth service, or is not running.
        """
        thread = self._thread()
        return thread.run(thread.auth.service.issue_token(username, lifetime))

    def stop_workers(self) -> None:
        """Stop all workers: jobs are accepted, but not run. Blocks for a moment.

        Jobs that are running are interrupted, and run again after `start_workers`.

        Raises:
            RuntimeError: The server does not run.
        """
        thread = self._thread()
        thread.run(thread.server.pool.stop())

    def start_workers(self) -> None:
        """Start the workers that `stop_workers` has stopped. Blocks for a moment.

        Raises:
            RuntimeError: The server does not run.
        """
        thread = self._thread()
        thread.run(thread.server.resume_workers())

    def lose_messages(self, *, lost: bool = True) -> None:
        """Publish nothing over MQTT any more, as if every message was lost; the broker itself stays.

        Args:
            lost: False to publish again from now on.

        Raises:
            RuntimeError: The server does not run.
        """
        self._thread().server.announcer.silent = lost

    def delete_jobs(self) -> None:
        """Delete all jobs, also those that are queued or running, and their files. Blocks for a moment.

        Raises:
            RuntimeError: The server does not run.
        """
        thread = self._thread()
        for job_id in thread.run(thread.server.store.all_ids()):
            _ = thread.run(thread.server.jobs.delete(job_id))

    async def discard(self, job_ids: Iterable[str]) -> None:
        """Delete jobs and their files without requests, such as ended ones whose results were taken.

        Args:
            job_ids: The jobs; those that the server does not have are left out.

        Raises:
            RuntimeError: The server does not run.
        """
        await self._thread().call(self._discarded([*job_ids]))

    async def _discarded(self, job_ids: list[str]) -> None:
        jobs = self._thread().server.jobs
        for job_id in job_ids:
            await jobs.delete(job_id)

    async def _before_job(self, job: ClaimedJob) -> None:
        if self.before_job is not None:
            await self.before_job(job)

    def start(self) -> None:
        """Start the server, and return when it accepts jobs. Does nothing if it is running.

        Raises:
            OSError: A port is in use, another server uses the data folder, or the broker is not installed;
                nothing is left behind.
            ConfigurationError: The TLS files, or the token signing key in the data folder, are invalid; or
                folders are shared, and the user ``admin`` has the default password.
        """
        if self._running is not None:
            return
        thread = ServerThread(self.settings)
        thread.start()
        self._running = thread

    def stop(self) -> None:
        """Stop the workers, withdraw their announcements, and close everything. Idempotent.

        Running jobs are interrupted; with a ``data_dir`` they run again after the next start.
        """
        thread, self._running = self._running, None
        if thread is not None:
            thread.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        try:
            await in_thread(self.start)
        except asyncio.CancelledError:
            await in_thread(self.stop)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await in_thread(self.stop)

    def _thread(self) -> ServerThread:
        if self._running is None:
            raise RuntimeError("The local server is not running: call start(), or use it in a with block")
        return self._running
