"""Partial files: a download is written to a hidden file next to its destination, then renamed."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import io
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from cl_client._errors import ComputeClientError, DestinationExistsError, FileWriteError
from cl_client._transfers.names import base_name, shortened

if TYPE_CHECKING:
    from collections.abc import Generator

_SUFFIX: Final = ".part"
_LONGEST_STEM: Final = 120
_DIGEST_SIZE: Final = 8
_OPEN_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"""A symbolic link could lead to another file. Windows has, and needs, only the second flag."""


@contextlib.contextmanager
def writing(target: Path) -> Generator[None]:
    """Convert errors of the file system to errors that name the destination.

    Args:
        target: Destination of the download.

    Yields:
        Nothing.

    Raises:
        ComputeClientError: Raised in the context; it is not converted.
        FileWriteError: The file system raised an error in the context.
    """
    try:
        yield
    except ComputeClientError:
        raise
    except (OSError, ValueError) as exc:
        error = FileWriteError.of(target, exc)
        raise error from exc


def file_or_folder(dest: Path | str, name: str) -> Path:
    """Find the destination of a file. Blocks.

    Args:
        dest: A file, or a folder, which exists or ends with a slash.
        name: Name of the file inside a folder.

    Returns:
        ``dest`` itself, or the file inside it if it is a folder.
    """
    target = Path(dest)
    with writing(target):
        inside = str(dest).endswith(("/", os.sep)) or target.is_dir()
    return target / base_name(name) if inside else target


def check_place(target: Path, *, overwrite: bool) -> None:
    """Check before a download whether its destination can be written. Blocks.

    Args:
        target: The destination.
        overwrite: Whether an existing file may be replaced.

    Raises:
        DestinationExistsError: A file exists there, and ``overwrite`` is False.
        FileWriteError: A folder exists there, or the name is invalid for the file system.
    """
    with writing(target):
        _check_existing(target, overwrite=overwrite)


def _check_existing(target: Path, *, overwrite: bool) -> None:
    try:
        mode = target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is an existing folder")
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise FileExistsError(errno.EEXIST, "it exists and is not a regular file")
    if not overwrite:
        raise DestinationExistsError.at(target)


class PartialFile:
    """The file of an unfinished download. The methods block: call them in a thread.

    Args:
        target: Destination of the download.
        identity: What is downloaded, if a later download may continue it. The partial file is then kept, and
            locked while it is in use. None to delete it when it is closed.

    Attributes:
        done: Number of bytes written.
        version: Version of the server's file that they belong to; None if the server does not tell.
    """

    def __init__(self, target: Path, identity: str | None = None) -> None:
        self.done = 0
        self.version: str | None = None
        self._target = target
        self._stem = f".{shortened(base_name(target.name), _LONGEST_STEM)}."
        self._identity = None if identity is None else _digest(identity)
        self._path: Path | None = None
        self._file: BinaryIO | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a file to close."""
        return self._file is not None

    def find(self) -> None:
        """Open the partial file of an earlier download, if there is one."""
        if self._identity is None:
            return
        prefix = f"{self._stem}{self._identity}-"
        with writing(self._target):
            for path in sorted(self._target.parent.glob(f"{glob.escape(prefix)}*{_SUFFIX}")):
                if self._take(path):
                    self.done = path.stat().st_size
                    self.version = path.name.removeprefix(prefix).removesuffix(_SUFFIX)
                    return

    def start(self, version: str | None) -> None:
        """Start from the beginning, with an empty file.

        Args:
            version: Version of the server's file; None if the server does not tell.
        """
        with writing(self._target):
            self.version = version and _digest(version)
            self._let_go()
            self.done = 0
            self._target.parent.mkdir(parents=True, exist_ok=True)
            if (path := self._kept_path()) is not None and self._take(path, os.O_CREAT):
                self._opened().seek(0)
                self._opened().truncate()
                return
            path = self._with_suffix(secrets.token_hex(4))
            self._file, self._path = path.open("xb"), path

    def continues(self, version: str | None) -> bool:
        """Check whether the download can be continued.

        Args:
            version: Version of the server's file; None if the server does not tell.

        Returns:
            Whether the partial file has data of this version.
        """
        return self.done > 0 and version is not None and self.version == _digest(version)

    def write(self, block: bytes) -> None:
        """Append to the file.

        Args:
            block: The bytes to append.
        """
        with writing(self._target):
            self._opened().write(block)
        self.done += len(block)

    def finish(self, *, overwrite: bool) -> None:
        """Move the complete file to its destination, after flushing it to the disk.

        Args:
            overwrite: Whether an existing file may be replaced.
        """
        with writing(self._target):
            file, path = self._opened(), self._path
            assert path is not None  # noqa: S101 - set as long as the file is open
            file.flush()
            os.fsync(file.fileno())
            file.close()
            if overwrite:
                path.replace(self._target)
            else:
                rename_if_free(path, self._target)
            self._path = self._file = None

    def close(self) -> None:
        """Close the file, and delete it unless a later download may continue it."""
        self._let_go()

    def _let_go(self) -> None:
        """Close the file, and delete it unless a later download would find it."""
        file, path = self._file, self._path
        self._file = self._path = None
        if file is None or path is None:
            return
        # On a full disk, closing cannot write the rest; an error was raised before in that case.
        with contextlib.suppress(OSError):
            file.close()
        if path != self._kept_path():
            with writing(self._target):
                path.unlink(missing_ok=True)

    def _kept_path(self) -> Path | None:
        """Get the path where a later download looks for the file; None if it is not kept."""
        if self._identity is None or self.version is None:
            return None
        return self._with_suffix(f"{self._identity}-{self.version}")

    def _with_suffix(self, middle: str) -> Path:
        return self._target.with_name(f"{self._stem}{middle}{_SUFFIX}")

    def _opened(self) -> BinaryIO:
        assert self._file is not None  # noqa: S101 - `find` or `start` is called first
        return self._file

    def _take(self, path: Path, flags: int = 0) -> bool:
        """Open a file to continue it, unless it is a symbolic link or locked by another download."""
        import portalocker

        try:
            file = os.fdopen(os.open(path, os.O_RDWR | flags | _OPEN_FLAGS, 0o666), "r+b")
        except OSError as exc:
            if exc.errno in {errno.ELOOP, errno.EISDIR}:
                return False
            raise
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            file.close()
            return False
        file.seek(0, io.SEEK_END)
        self._file, self._path = file, path
        return True


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_SIZE).hexdigest()


def rename_if_free(path: Path, target: Path) -> None:
    """Rename a file without replacing another one.

    If the file system has no hard links, this is not atomic.

    Args:
        path: The file.
        target: Its new path.

    Raises:
        DestinationExistsError: A file exists at the new path.
    """
    try:
        os.link(path, target)
    except FileExistsError as exc:
        error = DestinationExistsError.at(target)
        raise error from exc
    except OSError:
        if target.exists():
            error = DestinationExistsError.at(target)
            raise error from None
        path.rename(target)
    else:
        path.unlink()
