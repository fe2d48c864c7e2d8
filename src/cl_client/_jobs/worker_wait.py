"""Whether tasks are served by workers, and waiting until they are."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from cl_client._core.log import get_logger
from cl_client._errors import (
    ServerBusyError,
    ServerError,
    ServerUnavailableError,
    WorkerUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from cl_client._client.runtime import Runtime
    from cl_client._errors import ComputeClientError

logger = get_logger("cl_client.workers")

_POLL: Final = 1.0


async def wait_for_workers(
    runtime: Runtime, required: AbstractSet[str], seconds: float | None
) -> dict[str, int]:
    """Wait until every task is served; idle workers per task. A server that is not there yet is waited for.

    Raises:
        WorkerUnavailableError: The time is up.
    """
    served: dict[str, int] = {}
    problem: ComputeClientError | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    served, problem = await _served(runtime, quiet=True), None
                except (ServerUnavailableError, ServerBusyError, ServerError) as exc:
                    logger.debug("capabilities cannot be read: %s", exc)
                    served, problem = {}, exc
                if required <= served.keys():
                    return served
                await _next_change(runtime)
    raise WorkerUnavailableError(sorted(required - served.keys()), served) from problem


async def require_worker(task_type: str, runtime: Runtime) -> None:
    """Busy workers serve a task as well as idle ones do.

    Raises:
        WorkerUnavailableError: Nobody serves it.
    """
    served = await _served(runtime, quiet=False)
    if task_type not in served:
        raise WorkerUnavailableError([task_type], served)


async def _served(runtime: Runtime, *, quiet: bool) -> dict[str, int]:
    """As announced by MQTT where it is live, or else as the server says."""
    monitor = runtime.monitor
    if monitor.is_connected and (served := monitor.served()):
        return served
    return (await runtime.read_capabilities(max_age=0.0, quiet=quiet)).capabilities


async def _next_change(runtime: Runtime) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_POLL):
            await runtime.monitor.workers_changed.wait()
