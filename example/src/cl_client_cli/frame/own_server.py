"""A temporary local server that runs as long as a command, and its client."""

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
    """The server, and an open client of it."""

    server: LocalServer
    client: ComputeClient


@asynccontextmanager
async def own_server(terminal: Terminal, *, patience: float = _WORKERS_SECONDS) -> AsyncGenerator[OwnServer]:
    """Start a local server, and stop it when the context ends.

    Args:
        terminal: Where to show that the start takes a moment.
        patience: Seconds to wait for its workers.

    Yields:
        The server and an open client.

    Raises:
        OSError: The server cannot be started.
        WorkerUnavailableError: Its workers did not start in time.
    """
    async with AsyncExitStack() as stack:
        with terminal.announced("Starting a local server ..."):
            server = await stack.enter_async_context(LocalServer())
            client = await stack.enter_async_context(server.client())
            await client.wait_for_workers(server.task_types, timeout=patience)
        yield OwnServer(server, client)
