"""Files by reference: which files on the server's disk jobs may read. All functions block."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from cl_client._transfers.open_flags import READ_NAMED_FILE

if TYPE_CHECKING:
    from typing import Self


class NotSharedError(Exception):
    """There is no file that may be read at this path; the message is the same whatever is there instead."""

    def __init__(self, path: str) -> None:
        """Name the path and the rule."""
        super().__init__(
            f"No shared file: {path}; it must be a regular file below a shared folder, readable by the server"
        )


class FileChangedError(Exception):
    """A file is not the one that the job was submitted for."""


class FileState(BaseModel):
    """The properties of a file that change when its content does."""

    model_config = ConfigDict(frozen=True)

    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Open a file, to see that it can be read, and read its properties.

        Args:
            path: The file, without links.

        Returns:
            Its properties.

        Raises:
            OSError: It cannot be read, or is not a regular file.
        """
        if not stat.S_ISREG(path.lstat().st_mode):  # opening a device may do something
            raise OSError(f"{path} is not a regular file")
        descriptor = os.open(path, READ_NAMED_FILE)
        try:
            state = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{path} is no longer a regular file")
        return cls(size=state.st_size, modified_ns=state.st_mtime_ns)


class SharedFolders(BaseModel):
    """The folders below which jobs may read files in place.

    Attributes:
        folders: Absolute paths; none if nothing is shared.
        private: The server's data folder, which is never shared.
    """

    model_config = ConfigDict(frozen=True)

    folders: tuple[Path, ...]
    private: Path

    def find(self, path: str) -> tuple[Path, FileState]:
        """Find a shared file.

        Args:
            path: The absolute path that a client sent.

        Returns:
            The file without links, and its properties.

        Raises:
            NotSharedError: It is outside of the folders, also by a link; or it is missing, unreadable, a
                folder, or another kind of file.
        """
        named = Path(path)
        real_folders = [Path(os.path.realpath(folder)) for folder in self.folders]
        # Without a look at the disk: the time that it takes would tell whether the file exists.
        if ".." in named.parts or not _is_below(named, [*self.folders, *real_folders]):
            raise NotSharedError(path)
        try:
            real = named.resolve(strict=True)
            if not _is_below(real, real_folders) or _is_below(real, [Path(os.path.realpath(self.private))]):
                raise NotSharedError(path)
            _ = str(real).encode()  # libraries and messages need a name that is valid Unicode
            return real, FileState.of(real)
        except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL character, a name too long
            raise NotSharedError(path) from None


def _is_below(path: Path, folders: list[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


class JobSource(BaseModel):
    """The file of one job.

    Attributes:
        path: The path that the client sent.
        state: The properties of the file at that time.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    state: FileState

    def checked(self, shared: SharedFolders) -> Path:
        """Find the file again.

        Args:
            shared: What the server shares now.

        Returns:
            The file without links.

        Raises:
            NotSharedError: It is no longer there, or no longer shared.
            FileChangedError: It has changed.
        """
        found, state = shared.find(self.path)
        if state != self.state:
            raise FileChangedError(f"{self.path} has changed since the job was submitted; submit it again")
        return found
