"""What has arrived of a download: a hidden neighbour of its destination, renamed when it is whole."""

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
"""A link could lead to a file that is none of ours. Windows knows only the second, which it needs."""


@contextlib.contextmanager
def writing(target: Path) -> Generator[None]:
    """Turn what the file system says into an error that names the destination."""
    try:
        yield
    except ComputeClientError:
        raise
    except (OSError, ValueError) as exc:
        raise FileWriteError.of(target, exc) from exc


def file_or_folder(dest: Path | str, name: str) -> Path:
    """Where a file of that name belongs: ``dest`` itself, or below it where that is a folder. Blocks."""
    target = Path(dest)
    with writing(target):
        inside = str(dest).endswith(("/", os.sep)) or target.is_dir()
    return target / base_name(name) if inside else target


def check_place(target: Path, *, overwrite: bool) -> None:
    """Find out before a download whether its file could be put there. Blocks.

    Raises:
        DestinationExistsError: It is there, and must not be replaced.
        FileWriteError: A folder is there, or the name is none that the file system takes.
    """
    with writing(target):
        try:
            mode = target.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "a folder is there")
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise FileExistsError(errno.EEXIST, "what is there is no plain file")
        if not overwrite:
            raise DestinationExistsError.at(target)


class PartialFile:
    """A download on its way. The methods block: call them in a thread.

    Args:
        target: The destination.
        identity: What is downloaded, if a partial file of it may be continued by a later download: then it
            outlives this one, locked while it is in use. None for one that goes when it is closed.

    Attributes:
        done: Bytes that have arrived.
        version: Which version of the server's file they are of, None where the server does not tell.
    """

    def __init__(self, target: Path, identity: str | None = None) -> None:
        self.done = 0
        self.version: str | None = None
        self._target = target
        self._stem = f".{shortened(base_name(target.name), _LONGEST_STEM)}."
        self._identity = None if identity is None else _digest(identity)
        self._path: Path | None = None
        self._file: BinaryIO | None = None

    def find(self) -> None:
        """Take up what an earlier download has left."""
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
        """Begin with nothing, and with a new file unless there is one already."""
        with writing(self._target):
            before, self.version = self.version, version and _digest(version)
            self._let_go(keep=self.version == before)
            self.done = 0
            self._target.parent.mkdir(parents=True, exist_ok=True)
            if (path := self._kept_path()) is not None and self._take(path, os.O_CREAT):
                self._opened().seek(0)
                self._opened().truncate()
                return
            path = self._with_suffix(secrets.token_hex(4))
            self._file, self._path = path.open("xb"), path

    def continues(self, version: str | None) -> bool:
        """Whether this is the version of which there is something already."""
        return self.done > 0 and version is not None and self.version == _digest(version)

    def write(self, block: bytes) -> None:
        """Add to the end."""
        with writing(self._target):
            self._opened().write(block)
        self.done += len(block)

    def finish(self, *, overwrite: bool) -> None:
        """Put the file, which is whole, into its place; from then on it survives a power failure."""
        with writing(self._target):
            file, path = self._opened(), self._path
            assert path is not None  # noqa: S101 - it is there as long as the file is
            file.flush()
            os.fsync(file.fileno())
            file.close()
            if overwrite:
                path.replace(self._target)
            else:
                rename_if_free(path, self._target)
            self._path = self._file = None

    def close(self) -> None:
        """Close the file, and remove it unless a later download may continue it."""
        self._let_go(keep=True)

    def _let_go(self, *, keep: bool) -> None:
        file, path = self._file, self._path
        self._file = self._path = None
        if file is None or path is None:
            return
        # On a full disk it cannot write what is left; whoever wants the file has been told by then.
        with contextlib.suppress(OSError):
            file.close()
        if not (keep and path == self._kept_path()):
            with writing(self._target):
                path.unlink(missing_ok=True)

    def _kept_path(self) -> Path | None:
        """Where a later download looks for it."""
        if self._identity is None or self.version is None:
            return None
        return self._with_suffix(f"{self._identity}-{self.version}")

    def _with_suffix(self, middle: str) -> Path:
        return self._target.with_name(f"{self._stem}{middle}{_SUFFIX}")

    def _opened(self) -> BinaryIO:
        assert self._file is not None  # noqa: S101 - the order of calls
        return self._file

    def _take(self, path: Path, flags: int = 0) -> bool:
        """Open a file that may be continued, unless it is a link or another download works on it."""
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
    """Rename without replacing; without links in the file system, between a look and the deed."""
    try:
        os.link(path, target)
    except FileExistsError as exc:
        raise DestinationExistsError.at(target) from exc
    except OSError:
        if target.exists():
            raise DestinationExistsError.at(target) from None
        path.rename(target)
    else:
        path.unlink()
