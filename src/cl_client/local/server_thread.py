"""One run of a local server: a thread, its event loop, and its data folder."""

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
from typing import TYPE_CHECKING, TypeVar

from cl_client.local.assembly import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from cl_client.local.assembly import RunningAuth
    from cl_client.local.settings import LocalServerSettings

ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)

_ABANDONED_CHECK_SECONDS = 0.5
_CALL_SECONDS = 10.0


class ServerThread:
    """A running server. `start` and `stop` block; call each once."""

    def __init__(self, settings: LocalServerSettings) -> None:
        self._settings = settings
        self._ready: Future[RunningServer] = Future()
        # On Windows, this is the only loop that can start processes, whichever loop the caller uses.
        self._loop = asyncio.ProactorEventLoop() if sys.platform == "win32" else asyncio.SelectorEventLoop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="cl-local-server")
        self._temporary = settings.data_dir is None
        # Absolute, so that the caller may change its working folder.
        self.data_dir = (settings.data_dir or Path()).absolute()

    @property
    def server(self) -> RunningServer:
        """The URLs of the server; known once it is started."""
        return self._ready.result(timeout=0)

    @property
    def auth(self) -> RunningAuth:
        """The auth service.

        Raises:
            RuntimeError: The server has none.
        """
        if self.server.auth is None:
            raise RuntimeError("The local server has no auth service: create it with LocalServer(auth=True)")
        return self.server.auth

    def run(self, coroutine: Coroutine[None, None, ResultT]) -> ResultT:
        """Run a coroutine on the server's loop and wait for it, for up to 10 seconds.

        Args:
            coroutine: The coroutine, not started yet.

        Returns:
            The result of the coroutine.
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_SECONDS)

    async def call(self, coroutine: Coroutine[None, None, ResultT]) -> ResultT:
        """Run a coroutine on the server's loop, and wait for it on that of the caller.

        Args:
            coroutine: The coroutine, not started yet.

        Returns:
            The result of the coroutine.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

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
        """Stop the server and wait for its thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has already stopped
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            # Not asyncio.Runner: it shuts down the executor in a new thread, which Python 3.12 refuses during
            # interpreter shutdown, that is, at the end of a script that never stopped its server.
            with ThreadPoolExecutor(thread_name_prefix="cl-local-server") as threads:
                self._loop.set_default_executor(threads)
                try:
                    self._loop.run_until_complete(self._serve())
                finally:
                    self._loop.run_until_complete(_cancel_the_rest())
                    self._loop.run_until_complete(self._loop.shutdown_asyncgens())
                    self._loop.close()
        except BaseException as exc:
            if self._ready.done():
                logger.exception("The local server stopped with an unexpected error")
            else:
                self._ready.set_exception(exc)
        finally:
            if self._temporary:
                shutil.rmtree(self.data_dir, ignore_errors=True)

    async def _serve(self) -> None:
        async with running_server(self._settings, self.data_dir) as server:
            self._ready.set_result(server)
            # A script that ends without stopping its server must not hang.
            while threading.main_thread().is_alive() and not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ABANDONED_CHECK_SECONDS):
                        await self._stopping.wait()


async def _cancel_the_rest() -> None:
    """Cancel the remaining tasks of asyncio itself: connections during their TLS handshake."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.sleep(0)  # their sockets close one loop iteration later
