"""`LocalServer`: a complete compute service in one process."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from pydantic import SecretStr

from cl_client.exceptions import ConfigurationError
from cl_client.local.auth.settings import DEFAULT_ADMIN_PASSWORD, DEFAULT_TOKEN_LIFETIME, AuthSettings
from cl_client.local.models.users_models import users_models
from cl_client.local.server_thread import ServerThread
from cl_client.local.settings import DEFAULT_MAX_UPLOAD_BYTES, DEFAULT_POLL_INTERVAL, LocalServerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from cl_client.auth import AuthProvider
    from cl_client.compute_client import ComputeClient
    from cl_client.config import ComputeClientConfig
    from cl_client.local.generations import Generation
    from cl_client.local.net.tls import ServerTLS
    from cl_client.local.tasks import TaskSpec


class LocalServer:
    """A compute service that speaks and acts like a CL Server, for trying things out and for tests.

    It runs in a thread with an event loop of its own, so that a busy caller does not stall it, and works as
    ``async with`` and as ``with``:

        async with LocalServer() as server, server.client() as client:
            job = await client.hash.compute("photo.jpg", wait=True)

    Args:
        host: The address to listen on.
        port: The HTTP port; 0 for a free one.
        mqtt_url: A broker to use; None for one inside the process.
        mqtt_port: The port of the broker inside the process; 0 for a free one.
        data_dir: Where jobs are kept. Jobs found there that had not ended run again. None for a temporary
            folder that is removed at the end.
        workers: How many jobs run at once; None for one per core.
        generation: Which CL Server to be: ``"A"``, ``"B"`` or ``"C"``, the newest.
        strict_wire: Be as unhelpful as the real ones. False publishes every failure, and lets busy workers
            show signs of life.
        max_upload_bytes: The longest body of a submit; above it the answer is 413.
        tasks: Names of the tasks to offer; None for all.
        extra_tasks: Tasks of one's own, by name.
        heartbeat_interval: Seconds between two announcements of a worker; None for the generation's.
        poll_interval: Seconds between two looks for work. A submitted job is looked at without delay.
        models_dir: Where the tasks find their models, and nowhere else. None for the folder that the
            environment variable ``CL_CLIENT_MODELS`` names, or else the user's cache folder, into which
            ``cl-client models pull`` fetches them. A task whose model is missing is not announced.
        models: Model files of one's own, by the names that ``cl-client models list`` shows.
        auth: Run an auth service, and begin with guest mode off, so that jobs need a token with the
            permission ``ai_inference_support`` or an admin's. Otherwise everything is open to everybody.
        auth_port: The auth service's HTTP port; 0 for a free one.
        admin_password: The password of ``admin``, the user that an auth service begins with; None for
            ``admin``. One that finds users in its ``data_dir`` leaves them as they are.
        token_lifetime: Seconds that a token counts.
        clock_offset: Seconds by which the server's clock is ahead of the machine's where it issues and checks
            tokens; below zero for a clock that is behind.
        tls: Speak https and mqtts with these files. It says nothing of a broker given as ``mqtt_url``.
        mqtt_auth: Let the broker inside the process demand a user name and, as the password, a token that
            counts. Needs ``auth``.

    Raises:
        ValueError: A setting is out of its range, or does not go with another one.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        mqtt_url: str | None = None,
        mqtt_port: int = 0,
        data_dir: Path | None = None,
        workers: int | None = None,
        generation: Generation = "C",
        strict_wire: bool = True,
        max_upload_bytes: int = DEFAULT_MAX_UPLOAD_BYTES,
        tasks: Sequence[str] | None = None,
        extra_tasks: Mapping[str, TaskSpec] | None = None,
        heartbeat_interval: float | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        models_dir: Path | None = None,
        models: Mapping[str, Path] | None = None,
        auth: bool = False,
        auth_port: int = 0,
        admin_password: str | SecretStr | None = None,
        token_lifetime: float = DEFAULT_TOKEN_LIFETIME,
        clock_offset: float = 0.0,
        tls: ServerTLS | None = None,
        mqtt_auth: bool = False,
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
            data_dir=data_dir,
            workers=workers,
            generation=generation,
            strict_wire=strict_wire,
            max_upload_bytes=max_upload_bytes,
            tasks=tasks,
            extra_tasks=extra_tasks or {},
            heartbeat_interval=heartbeat_interval,
            poll_interval=poll_interval,
            models=users_models(models_dir, models),
            auth=auth_settings if auth else None,
            tls=tls,
            mqtt_auth=mqtt_auth,
        )
        self._running: ServerThread | None = None

    @property
    def base_url(self) -> str:
        """Where its HTTP interface is."""
        return self._thread().server.base_url

    @property
    def mqtt_url(self) -> str:
        """Where its broker is."""
        return self._thread().server.mqtt_url

    @property
    def auth_url(self) -> str:
        """Where its auth service is.

        Raises:
            RuntimeError: It has none.
        """
        return self._thread().auth.url

    @property
    def data_dir(self) -> Path:
        """Where its jobs are kept."""
        return self._thread().data_dir

    @property
    def task_types(self) -> tuple[str, ...]:
        """The tasks it announces now: those that it offers and whose models are there."""
        return self.settings.available_tasks()

    @property
    def worker_count(self) -> int:
        """How many jobs it runs at once."""
        return self.settings.worker_count

    def client(
        self,
        *,
        timeout: float | None = None,
        auth_provider: AuthProvider | None = None,
        config: ComputeClientConfig | None = None,
    ) -> ComputeClient:
        """A client of this server, to be closed by the caller; arguments as for `ComputeClient`."""
        from cl_client.compute_client import ComputeClient

        return ComputeClient(
            base_url=self.base_url,
            mqtt_broker=self.mqtt_url,
            timeout=timeout,
            auth_provider=auth_provider,
            config=config,
        )

    def issue_token(self, username: str = "admin", *, lifetime: float | None = None) -> str:
        """A token of one of its users, without their password, for tests. Blocks for a moment.

        Args:
            username: Whose it is.
            lifetime: Seconds that it counts, below zero for one whose time is over; None for the server's.

        Raises:
            LookupError: There is no such user.
            RuntimeError: The server has no auth service, or does not run.
        """
        thread = self._thread()
        return thread.run(thread.auth.service.issue_token(username, lifetime))

    def start(self) -> None:
        """Start, and return when jobs are accepted. Does nothing on a server that runs.

        Raises:
            OSError: A port is taken or another server works with the data folder; nothing is left behind.
            ConfigurationError: The files for TLS, or the data folder's key for tokens, cannot be used.
        """
        if self._running is not None:
            return
        thread = ServerThread(self.settings)
        thread.start()
        self._running = thread

    def stop(self) -> None:
        """End the workers, take their announcements back, close everything. Idempotent.

        Jobs that are running are interrupted; with a ``data_dir`` they run again after the next start.
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
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError, ConfigurationError):
                await starting
            await asyncio.to_thread(self.stop)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.to_thread(self.stop))

    def _thread(self) -> ServerThread:
        if self._running is None:
            raise RuntimeError("The local server is not running: start it, or use it in a with block")
        return self._running
