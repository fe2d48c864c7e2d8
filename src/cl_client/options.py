"""Parameters of every plugin method: a file, and the options of a submit with their callbacks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypedDict, cast

from typing_extensions import TypeVar

from cl_client._errors import InvalidParameterError
from cl_client.models import JobResponse, TaskOutput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import SecretStr

PluginOutputT = TypeVar("PluginOutputT", bound=TaskOutput)


@dataclass(frozen=True, slots=True)
class UploadStream:
    """A file as a stream of chunks, from any source.

    Args:
        chunks: Chunks of any size; at least one must not be empty. An async iterable can be sent only once. A
            function that returns one is called again if the request has to be sent again, for instance
            because the token has expired.
        name: Name of the file; servers may rely on its extension.
        size: Total number of bytes, if known; ``on_upload`` then reports it.
    """

    chunks: AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]
    name: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class ServerPath:
    """A file on the server's own disk, which the server reads in place; nothing is uploaded.

    Args:
        path: The absolute path as the server's system writes it, for instance ``/photos/a.jpg``.
        size: The size in bytes that the file must have; None for any. With it, a local server refuses a
            different file at the same path.
        modified: The time of the file's last change, in whole seconds since the Unix epoch; None for any.

    Raises:
        InvalidParameterError: The path is relative, contains ``..``, names a folder, or cannot be sent.
    """

    path: str
    size: int | None = None
    modified: int | None = None

    def __post_init__(self) -> None:
        """Check the path."""
        if not isinstance(cast("object", self.path), str):
            raise InvalidParameterError(f"ServerPath({self.path!r}): pass the path as text")
        if (problem := _problem_of(self.path)) is not None:
            raise InvalidParameterError(f"ServerPath({self.path!r}): {problem}")

    @classmethod
    def of(cls, local: Path | str) -> ServerPath:
        """Describe a file that has the same path on this machine and on the server. Reads its size and time.

        Args:
            local: The file; a relative path is relative to the working folder. Links are not followed.

        Returns:
            Its absolute path, size and time.

        Raises:
            InvalidParameterError: The file cannot be read, or its path cannot be sent.
        """
        path = Path(local).absolute()
        try:
            state = path.stat()
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
            raise InvalidParameterError(f"{str(path)!r} cannot be read: {reason}") from exc
        return cls(str(path), size=state.st_size, modified=state.st_mtime_ns // 1_000_000_000)

    @property
    def pure_path(self) -> PurePosixPath | PureWindowsPath:
        """The path in the form of the server's system."""
        return server_form(self.path)

    @property
    def name(self) -> str:
        """The name of the file, without its folder."""
        return self.pure_path.name


def server_form(path: str) -> PurePosixPath | PureWindowsPath:
    """Read an absolute path of another machine.

    Args:
        path: The path.

    Returns:
        A POSIX path if it starts with a slash; otherwise a Windows path.
    """
    return PurePosixPath(path) if path.startswith("/") else PureWindowsPath(path)


class BinaryFile(Protocol):
    """An open binary file, also one of `tempfile`, `gzip`, `zipfile` or `Popen`."""

    def read(self, size: int = ..., /) -> bytes:
        """Read up to a number of bytes.

        Args:
            size: Maximum number of bytes; all remaining ones by default.

        Returns:
            The bytes; empty at the end of the file.
        """
        ...

    def seekable(self) -> bool:
        """Tell whether the file can be read again.

        Returns:
            Whether `seek` and `tell` work.
        """
        ...

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Change the position.

        Args:
            offset: Bytes from the position that ``whence`` names.
            whence: As in Python's `io`: the start by default, `io.SEEK_CUR` or `io.SEEK_END`.

        Returns:
            The new position in bytes from the start.
        """
        ...

    def tell(self) -> int:
        """Get the position.

        Returns:
            Bytes from the start.
        """
        ...


LocalSource: TypeAlias = Path | str | bytes | BinaryFile | UploadStream
"""A file that is uploaded."""

FileSource: TypeAlias = LocalSource | ServerPath
"""A path, bytes, an open binary file (read from its current position, and left open), a stream, or a path on
the server's own disk."""

ByteProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the number of bytes done so far and the total, which is None if unknown."""

JobCallback: TypeAlias = Callable[[JobResponse[PluginOutputT]], Awaitable[None] | None]
"""A plain or coroutine function that receives the job; runs on the client's event loop."""


ErrorCallback: TypeAlias = Callable[[Exception], Awaitable[None] | None]
"""A plain or coroutine function that receives an error; runs on the client's event loop."""


class MapOptions(TypedDict, Generic[PluginOutputT], total=False):
    """Options of methods that always wait for the job.

    Attributes:
        priority: 0-10, default 5. Servers store it, but process jobs in the order of their submission.
        timeout: Seconds for the whole call, above 0: upload, retries and the job itself. None for no limit of
            the upload, and the config's ``wait_timeout`` for the job.
        on_upload: Called with the bytes of the file sent so far and the total, which is None if unknown. For
            a `ServerPath`, of which nothing is uploaded, called with 0 and 0 when the job is sent.
        on_progress: Called for each observed change of status or progress, in order.
        on_complete: Called exactly once, with the full job, whether it completed, failed or was deleted.
        on_error: Called instead of ``on_complete`` if the server permanently refuses to return the job, for
            instance because the token has expired; the job is then no longer followed.
        raise_on_failure: Raise `JobFailedError` if the job failed. Default False.
        require_worker: Raise `WorkerUnavailableError` before uploading if no worker serves the task.
        delete_on_cancel: Delete the job on the server if the wait is cancelled or times out, or if the submit
            is cancelled after the server has answered.
    """

    priority: int
    timeout: float | None
    on_upload: ByteProgress | None
    on_progress: JobCallback[PluginOutputT] | None
    on_complete: JobCallback[PluginOutputT] | None
    on_error: ErrorCallback | None
    raise_on_failure: bool
    require_worker: bool | None
    delete_on_cancel: bool | None


class SubmitOptions(MapOptions[PluginOutputT], Generic[PluginOutputT], total=False):
    """Options of every plugin method: those of `MapOptions`, and whether to wait.

    Attributes:
        wait: Return only when the job has ended, with its output. Default False: return as soon as it is
            queued; ``timeout`` then limits only the upload, and ``raise_on_failure`` has no effect.
    """

    wait: bool


class ClientOptions(TypedDict, total=False):
    """Options that `ComputeClient.with_options` can change; see `ComputeClientConfig` for each of them.

    Attributes:
        extra_headers: Sent in addition to the client's own; they replace headers of the same name.
        plugin_endpoints: Paths by task, also of tasks that no plugin is installed for.
    """

    timeout: float
    connect_timeout: float
    read_timeout: float
    write_timeout: float
    pool_timeout: float
    max_retries: int
    max_retry_wait: float
    extra_headers: Mapping[str, str | SecretStr]
    plugin_endpoints: Mapping[str, str]
    wait_timeout: float
    require_worker: bool
    delete_on_cancel: bool


def _problem_of(path: str) -> str | None:
    """What is wrong with a path on a server, or None."""
    pure = server_form(path)
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not valid Unicode; upload the file: pass Path(...)"
    if "\0" in path:
        return "it contains a NUL character"
    if not pure.is_absolute():
        return "it must be absolute on the server, such as /photos/a.jpg or D:\\photos\\a.jpg"
    if ".." in pure.parts:
        return "it must not contain '..'"
    is_folder = not pure.name or path.endswith("/" if isinstance(pure, PurePosixPath) else ("/", "\\"))
    return "it names a folder; name a file in it" if is_folder else None


def check_options(task_type: str, options: Mapping[str, object], known: Collection[str]) -> None:
    """Reject unknown options, for programs without a type checker.

    Args:
        task_type: Task of the job, for the message.
        options: The options that the caller passed, by name.
        known: Names of the valid options.

    Raises:
        InvalidParameterError: An option is unknown; the message names a similar one.
    """
    for name in options:
        if name not in known:
            similar = get_close_matches(name, known, 1)
            remedy = f"did you mean {similar[0]!r}?" if similar else f"use one of: {', '.join(sorted(known))}"
            raise InvalidParameterError(f"{task_type}: unknown option {name!r}; {remedy}")
