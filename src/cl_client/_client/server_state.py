"""The health and the workers of a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cl_client._client.resources import ClientPart
from cl_client._core.deadlines import check_seconds
from cl_client._core.threads import in_thread_unless_cancelled
from cl_client._errors import InvalidParameterError
from cl_client._jobs.references import DEFAULT_MAX_AGE, server_path_below
from cl_client._transfers.references import SHARES_PATH
from cl_client.models import ServerHealth

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePath

    from cl_client._jobs.workers import WorkerCallback
    from cl_client.models import WorkerCapabilities
    from cl_client.options import ServerPath


class ServerState(ClientPart):
    """The methods of `ComputeClient` for the health and the workers of the server."""

    async def health(self, *, timeout: float | None = None) -> ServerHealth:  # noqa: ASYNC109 - includes retries
        """Read the service, version and guest mode of the server.

        Args:
            timeout: Timeout in seconds for the whole call, above 0; None for no limit.

        Returns:
            The answer of the server.

        Raises:
            RequestTimeoutError: The call timed out.
        """
        http = self._open().http
        async with http.within(timeout, "Asking for the server's health", "/"):
            return await http.get("/", ServerHealth)

    async def get_capabilities(
        self,
        *,
        cache: bool = False,
        ttl: float = 60.0,
        timeout: float | None = None,  # noqa: ASYNC109 - includes retries
    ) -> WorkerCapabilities:
        """Read how many workers are idle per task type.

        Args:
            cache: Return the last answer if it is not older than ``ttl``. Default False.
            ttl: Maximum age of a cached answer in seconds, above 0.
            timeout: Timeout in seconds for the whole call, above 0; None for no limit.

        Returns:
            The capabilities of the workers.

        Raises:
            InvalidParameterError: ``ttl`` or ``timeout`` is not above 0.
            RequestTimeoutError: The call timed out.
        """
        max_age = _max_age(ttl, cache=cache)
        runtime = self._open()
        async with runtime.http.within(timeout, "Reading the workers' capabilities", "/capabilities"):
            return await runtime.jobs.capabilities(max_age=max_age)

    async def wait_for_workers(
        self,
        required_capabilities: Iterable[str],
        timeout: float | None = None,  # noqa: ASYNC109 - part of the interface
    ) -> dict[str, int]:
        """Wait until each of the tasks is served by a worker, idle or busy.

        Args:
            required_capabilities: The task types, or one task type.
            timeout: Timeout in seconds; None for the config's ``wait_timeout``.

        Returns:
            Idle workers per task type.

        Raises:
            WorkerUnavailableError: The wait timed out; the message names the missing task types.
        """
        check_seconds("timeout", timeout)
        one = isinstance(required_capabilities, str)
        required = {required_capabilities} if one else set(required_capabilities)
        seconds = self.config.wait_timeout if timeout is None else timeout
        return await self._open().jobs.workers.wait_for(required, seconds)

    async def shared_folders(
        self,
        *,
        cache: bool = True,
        ttl: float = DEFAULT_MAX_AGE,
        timeout: float | None = None,  # noqa: ASYNC109 - includes retries
    ) -> tuple[PurePath, ...]:
        """Read which folders on its disk the server shares with this client, see `ServerPath`.

        Args:
            cache: Return the last answer if it is not older than ``ttl``. Default True.
            ttl: Maximum age of a cached answer in seconds, above 0.
            timeout: Timeout in seconds for the whole call, above 0; None for no limit.

        Returns:
            The folders, as the server's system writes them. Empty if it shares none, as CL Servers do, or if
            this client may not use them: it is not logged in, or is not a program of the server's user.

        Raises:
            InvalidParameterError: ``ttl`` or ``timeout`` is not above 0.
            RequestTimeoutError: The call timed out.
        """
        max_age = _max_age(ttl, cache=cache)
        runtime = self._open()
        async with runtime.http.within(timeout, "Reading the shared folders", SHARES_PATH):
            return (await runtime.jobs.references.shares(max_age=max_age)).usable

    async def server_path(self, local: Path | str) -> ServerPath | None:
        """Find out whether a local file can be submitted without an upload.

            job = await client.exif.extract(await client.server_path(photo) or photo)

        It can if its path is below a folder that the server shares. Over a network, the server may have
        another file at that path: it compares size and time, and refuses it with `ServerPathRefusedError`.

        Args:
            local: The file.

        Returns:
            Its path on the server, with its size and time; None if it has to be uploaded.

        Raises:
            RequestTimeoutError: The server did not answer.
        """
        folders = await self.shared_folders()
        return await in_thread_unless_cancelled(server_path_below, folders, Path(local)) if folders else None

    def subscribe_worker_updates(self, callback: WorkerCallback) -> str:
        """Subscribe to workers that appear, disappear, or become busy or idle. Requires a running loop.

        Args:
            callback: A function or coroutine function, called with all present workers by id. While it runs,
                only the newest state is kept for it. It is not called for a worker that is busy for less than
                0.1 s, as at each look for a job.

        Returns:
            The id of the subscription, for `unsubscribe`.
        """
        return self._open().monitor.subscribe_worker_updates(callback)


def _max_age(ttl: float, *, cache: bool) -> float:
    """How old a cached answer may be, in seconds; 0 for a new request."""
    if ttl <= 0:
        raise InvalidParameterError(f"ttl={ttl!r}: must be above 0 seconds")
    return ttl if cache else 0.0
