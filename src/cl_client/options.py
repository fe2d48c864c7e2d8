"""What every plugin method takes: a file, the options of a submit, and the callbacks in them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypedDict

from typing_extensions import TypeVar

from cl_client._errors import InvalidParameterError
from cl_client.models import JobResponse, TaskOutput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import SecretStr

PluginOutputT = TypeVar("PluginOutputT", bound=TaskOutput)


@dataclass(frozen=True, slots=True)
class UploadStream:
    """A file that comes in chunks, from wherever.

    Args:
        chunks: The chunks, of any size, but not empty all together. An iterator can be sent once; a function
            that makes one is called again where a request has to be sent again, for instance because the
            token had expired.
        name: The file's name, on whose extension servers may rely.
        size: Bytes of all chunks together where that is known, so that ``on_upload`` knows it too.
    """

    chunks: AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]
    name: str
    size: int | None = None


class BinaryFile(Protocol):
    """An open binary file, also one of `tempfile`, `gzip`, `zipfile` or `Popen`."""

    def read(self, size: int = ..., /) -> bytes: ...  # noqa: D102 - as in Python's `io`

    def seekable(self) -> bool: ...  # noqa: D102 - alike

    def seek(self, offset: int, whence: int = ..., /) -> int: ...  # noqa: D102 - alike

    def tell(self) -> int: ...  # noqa: D102 - alike


FileSource: TypeAlias = Path | str | bytes | BinaryFile | UploadStream
"""A path, the bytes themselves, an open binary file (read from where it stands, left open), or a stream."""

ByteProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes done so far and the total, None where that is not known."""

JobCallback: TypeAlias = Callable[[JobResponse[PluginOutputT]], Awaitable[None] | None]
"""A plain function or a coroutine function that is given the job; runs on the client's loop."""


ErrorCallback: TypeAlias = Callable[[Exception], Awaitable[None] | None]
"""A plain function or a coroutine function that is given an error; runs on the client's loop."""


class MapOptions(TypedDict, Generic[PluginOutputT], total=False):
    """The options of a job that is waited for in any case.

    Attributes:
        priority: 0-10, default 5. Stored by servers, whose queue is first come, first served.
        timeout: Seconds for the whole call, above 0: upload, retries and the job itself. None for no limit of
            the upload, and the config's ``wait_timeout`` for the job.
        on_upload: Called with the bytes of the file sent so far and their total, None where it is not known.
        on_progress: Called for each change of status or progress that is seen, in order.
        on_complete: Called exactly once, with the full job, however it ended.
        on_error: Called in place of ``on_complete`` where the server goes on refusing to tell of the job, for
            instance because the token has expired for good; the job is followed no longer then.
        raise_on_failure: Raise `JobFailedError` for a job that failed. Default False.
        require_worker: Raise `WorkerUnavailableError` before uploading when nobody serves the task.
        delete_on_cancel: Delete the job at the server when the wait is cancelled or times out, or when the
            submit is cancelled after the server has answered.
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
    """The options that every plugin method takes: those of `MapOptions`, and whether to wait.

    Attributes:
        wait: Return only when the job has ended, with its output. Default False: return as soon as it is
            queued; then ``timeout`` limits the upload alone, and ``raise_on_failure`` has no effect.
    """

    wait: bool


class ClientOptions(TypedDict, total=False):
    """What `ComputeClient.with_options` can change; `ComputeClientConfig` says what each one is.

    Attributes:
        extra_headers: Sent beside those of the client, and in place of those of the same names.
    """

    timeout: float
    connect_timeout: float
    read_timeout: float
    write_timeout: float
    pool_timeout: float
    max_retries: int
    max_retry_wait: float
    extra_headers: Mapping[str, str | SecretStr]
    wait_timeout: float
    require_worker: bool
    delete_on_cancel: bool


def check_options(task_type: str, options: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse options that do not exist, which a program without a type checker would never hear of.

    Raises:
        InvalidParameterError: Names the first one, and what may have been meant.
    """
    for name in options:
        if name not in known:
            similar = get_close_matches(name, known, 1)
            remedy = f"did you mean {similar[0]!r}?" if similar else f"there are: {', '.join(sorted(known))}"
            raise InvalidParameterError(f"{task_type}: there is no option {name!r}; {remedy}")
