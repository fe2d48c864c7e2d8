"""A temporary local server that runs as long as a command, and its client."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from cl_client.local import LocalServer
from cl_client_cli.frame.own_client import OwnClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from cl_client import ComputeClient
    from cl_client_cli.frame.terminal import Terminal

_WORKERS_SECONDS: Final = 60.0
_MOST_SHARED: Final = 32
"""The server compares each file with each of its folders."""


class OwnServer(NamedTuple):
    """The server, and an open client of it."""

    server: LocalServer
    client: ComputeClient


@asynccontextmanager
async def own_server(
    terminal: Terminal, *, shared: Sequence[Path] = (), patience: float = _WORKERS_SECONDS
) -> AsyncGenerator[OwnServer]:
    """Start a local server, and stop it when the context ends.

    Args:
        terminal: Where to show that the start takes a moment.
        shared: Folders whose files it reads in place.
        patience: Seconds to wait for its workers.

    Yields:
        The server and an open client.

    Raises:
        OSError: The server cannot be started.
        WorkerUnavailableError: Its workers did not start in time.
    """
    async with AsyncExitStack() as stack:
        with terminal.announced("Starting a local server ..."):
            server = await stack.enter_async_context(LocalServer(shared=shared))
            client = await stack.enter_async_context(OwnClient(server))
            await client.wait_for_workers(server.task_types, timeout=patience)
        yield OwnServer(server, client)


def folders_of(files: Iterable[Path]) -> Sequence[Path]:
    """Choose the folders that a server has to share to read files in place. Blocks.

    Args:
        files: The files.

    Returns:
        The folders of the files, also of those behind links; few, none of which is in another one.
    """
    folders = {path.parent for file in files for path in (file.absolute(), Path(os.path.realpath(file)))}
    folders = {folder for folder in folders if ".." not in folder.parts and folder.is_dir()}
    while len(folders := _outermost(folders)) > _MOST_SHARED:
        depth = max(len(folder.parts) for folder in folders)
        folders = {folder.parent if len(folder.parts) == depth else folder for folder in folders}
    return sorted(folders)


def _outermost(folders: set[Path]) -> set[Path]:
    return {folder for folder in folders if folders.isdisjoint(folder.parents)}
