"""Which files the server reads from its own disk, so that they need no upload."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from cl_client import InvalidParameterError, ServerPath
from cl_client.exceptions import AuthenticationError, HTTPError, PermissionDeniedError, ServerPathRefusedError
from cl_client_cli.settings.path_map import NO_MAP, PathMap
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from pathlib import Path, PurePath

    from cl_client import ComputeClient
    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import JobOptions
    from cl_client_cli.frame.terminal import Terminal

REFUSALS: Final = (ServerPathRefusedError, AuthenticationError, PermissionDeniedError)
"""The server does not take the path. As a guest, the user may still upload the file."""
_ABOUT_ONE_FILE: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}


class ServerPaths:
    """Finds out which files the server can read, and counts them.

    Attributes:
        read_in_place: How many jobs were submitted without an upload.

    Args:
        client: The client.
        path_map: The server's folders for folders of this machine.
    """

    def __init__(self, client: ComputeClient, path_map: PathMap = NO_MAP) -> None:
        self._client = client
        self._path_map = path_map
        self._closed_tasks: set[str] = set()
        self._reasons: list[str] = []
        self.read_in_place = 0

    async def find(self, file: Path, task: str, *, seconds: float | None) -> ServerPath | None:
        """Find where the server has a file.

        Args:
            file: The file.
            task: The name of the task.
            seconds: How long to wait for the server; None for no limit.

        Returns:
            Its path on the server; None if it has to be uploaded.

        Raises:
            ServerUnavailableError: The server is unreachable.
        """
        if task in self._closed_tasks:
            return None
        try:
            folders = await self._client.shared_folders(timeout=seconds)
        except HTTPError:  # whatever it is, the upload meets it too, and says so
            return None
        places = await asyncio.to_thread(self._path_map.places_of, file) if self._path_map.folders else []
        usable = [it for it in places if any(it.is_relative_to(folder) for folder in folders)]
        if usable:
            found = await asyncio.to_thread(_described, file, usable[0])
        else:
            found = await self._client.server_path(file)
            if places and found is None:
                only = ", ".join(map(str, folders)) or "no folders"
                self._reasons.append(f"it shares {only}, and not {places[0].parent}")
        return found

    def accepted(self) -> None:
        """Count a job that was submitted without an upload."""
        self.read_in_place += 1

    def refused(self, task: str, exc: Exception) -> None:
        """Record that the server did not take a path.

        Args:
            task: The name of the task.
            exc: One of `REFUSALS`. If it is not about this file alone, no more paths are sent for the task.
        """
        if not (isinstance(exc, ServerPathRefusedError) and exc.status_code in _ABOUT_ONE_FILE):
            self._closed_tasks.add(task)

    def uploaded_instead(self, exc: Exception) -> None:
        """Record that a file was uploaded after the server did not take its path.

        Args:
            exc: One of `REFUSALS`.
        """
        self._reasons.append(exc.reason if isinstance(exc, ServerPathRefusedError) else str(exc))

    def say_refused(self, terminal: Terminal) -> None:
        """Print how many files were uploaded although the server seems to have them, and why.

        Args:
            terminal: Where to print it.
        """
        if self._reasons:
            first, *more = dict.fromkeys(self._reasons)
            words = "for instance, " if more else ""
            many = len(self._reasons)
            were, them = counted(many, "file was", "files were"), "it" if many == 1 else "them"
            terminal.say(f"{were} uploaded, because the server did not read {them} in place: {words}{first}")


def _described(file: Path, place: PurePath) -> ServerPath | None:
    """A path on the server, with the size and time that the file has here."""
    try:
        found = replace(ServerPath.of(file), path=str(place))
    except InvalidParameterError:  # the upload says what is wrong
        return None
    return found if found.size else None  # also that it is empty


def read_in_place(count: int) -> str:
    """Say how many files needed no upload, for a summary.

    Args:
        count: How many.

    Returns:
        The words.
    """
    return f"{count} read in place by the server"


def server_paths_of(context: CommandContext, options: JobOptions) -> ServerPaths | None:
    """Make the server paths of a command.

    Args:
        context: The client and settings of the command.
        options: How jobs are submitted.

    Returns:
        The paths; None if all files are uploaded.
    """
    return None if options.upload else ServerPaths(context.client, context.settings.path_map)
