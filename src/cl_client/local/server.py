"""`LocalServer`: a complete compute service in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from cl_client.local.assembly import Endpoints, running_server
from cl_client.local.model_settings import users_models
from cl_client.local.settings import DEFAULT_MAX_UPLOAD_BYTES, DEFAULT_POLL_INTERVAL, LocalServerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from cl_client.auth import AuthProvider
    from cl_client.compute_client import ComputeClient
    from cl_client.config import ComputeClientConfig
    from cl_client.local.generations import Generation
    from cl_client.local.tasks import TaskSpec

logger = logging.getLogger(__name__)

_ABANDONED_CHECK_SECONDS = 0.5


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

    Raises:
        ValueError: A setting is out of its range.
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
    ) -> None:
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
        )
        self._running: _ServerThread | None = None

    @property
    def base_url(self) -> str:
        """Where its HTTP interface is."""
        return self._thread().endpoints.base_url

    @property
    def mqtt_url(self) -> str:
        """Where its broker is."""
        return self._thread().endpoints.mqtt_url

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

    def start(self) -> None:
        """Start, and return when jobs are accepted. Does nothing on a server that runs.

        Raises:
            OSError: A port is taken or another server works with the data folder; nothing is left behind.
        """
        if self._running is not None:
            return
        thread = _ServerThread(self.settings)
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
            with contextlib.suppress(OSError):
                await starting
            await asyncio.to_thread(self.stop)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.to_thread(self.stop))

    def _thread(self) -> _ServerThread:
        if self._running is None:
            raise RuntimeError("The local server is not running: start it, or use it in a with block")
        return self._running


class _ServerThread:
    """One run of a server: a thread, its event loop, and its data folder."""

    def __init__(self, settings: LocalServerSettings) -> None:
        self._settings = settings
        self._ready: Future[Endpoints] = Future()
        # Only this loop can start processes on Windows, whatever loop the caller prefers.
        self._loop = asyncio.ProactorEventLoop() if sys.platform == "win32" else asyncio.SelectorEventLoop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="cl-local-server")
        self._temporary = settings.data_dir is None
        # Absolute, so that the caller is free to change its working folder.
        self.data_dir = (settings.data_dir or Path()).absolute()

    @property
    def endpoints(self) -> Endpoints:
        """Where it is reached; known once it is started."""
        return self._ready.result(timeout=0)

    def start(self) -> None:
        """Start, and wait until it is ready or has failed."""
        if self._temporary:
            self.data_dir = Path(tempfile.mkdtemp(prefix="cl-local-server-"))
        self._thread.start()
        try:
            self._ready.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it and wait until it has ended."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            # Not asyncio.Runner: it starts a thread to end the executor, which Python 3.12 refuses while the
            # interpreter of a script that never stopped its server shuts down.
            with ThreadPoolExecutor(thread_name_prefix="cl-local-server") as threads:
                self._loop.set_default_executor(threads)
                try:
                    self._loop.run_until_complete(self._serve())
                finally:
                    self._loop.run_until_complete(self._loop.shutdown_asyncgens())
                    self._loop.close()
        except BaseException as exc:
            if self._ready.done():
                logger.exception("The local server ended by a fault of its own")
            else:
                self._ready.set_exception(exc)
        finally:
            if self._temporary:
                shutil.rmtree(self.data_dir, ignore_errors=True)

    async def _serve(self) -> None:
        async with running_server(self._settings, self.data_dir) as endpoints:
            self._ready.set_result(endpoints)
            # A script that ends without stopping its server must not hang on it.
            while threading.main_thread().is_alive() and not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ABANDONED_CHECK_SECONDS):
                        await self._stopping.wait()
