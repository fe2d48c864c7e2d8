"""A server that lives as long as a command, and its client."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from cl_client.local import LocalServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from cl_client import ComputeClient
    from cl_client_cli.frame.terminal import Terminal

_WORKERS_SECONDS: Final = 60.0


class OwnServer(NamedTuple):
    """The server, and a client of it that is open."""

    server: LocalServer
    client: ComputeClient


@asynccontextmanager
async def own_server(terminal: Terminal, *, patience: float = _WORKERS_SECONDS) -> AsyncGenerator[OwnServer]:
    """Start a server, and have it while the context is open.

    Args:
        terminal: Where it is told that this takes a moment.
        patience: Seconds for its workers to come.

    Raises:
        OSError: It cannot be started.
        WorkerUnavailableError: They did not come.
    """
    async with AsyncExitStack() as stack:
        with terminal.announced("Starting a local server ..."):
            server = await stack.enter_async_context(LocalServer())
            client = await stack.enter_async_context(server.client())
            await client.wait_for_workers(server.task_types, timeout=patience)
        yield OwnServer(server, client)
