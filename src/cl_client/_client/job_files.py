"""The files of jobs: in memory, as streams, downloaded one by one, or many at once and all or nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from abc import ABC, abstractmethod
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from cl_client._core.concurrency import checked_concurrency, map_concurrently
from cl_client._core.telemetry import operation
from cl_client._core.threads import in_thread
from cl_client._errors import ClientClosedError, FileWriteError, InvalidParameterError, JobFilesError
from cl_client._http.errors import Asked
from cl_client._http.retries import can_repeat
from cl_client._transfers.body import BodyReader
from cl_client._transfers.download import (
    DEFAULT_MAX_BYTES,
    PLAIN,
    RANGE_NOT_SATISFIABLE,
    Download,
    JobFileStream,
    check_whole,
    kept_in_part,
)
from cl_client._transfers.job_paths import checked_path
from cl_client._transfers.partial_file import check_place, file_or_folder, rename_if_free, writing
from cl_client._transfers.progress import FilesReporter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Iterable
    from contextlib import AbstractAsyncContextManager

    import httpx

    from cl_client._client.runtime import Runtime
    from cl_client._http.service import HTTPService
    from cl_client._transfers.progress import FilesProgress
    from cl_client.config import ComputeClientConfig
    from cl_client.options import ByteProgress


class JobFiles(ABC):
    """What `ComputeClient` can do with the files of a job."""

    config: ComputeClientConfig

    @abstractmethod
    def _open(self) -> Runtime:
        """The resources of the running loop."""

    async def download_job_file(
        self,
        job_id: str,
        file_path: str,
        dest: Path | str,
        *,
        on_progress: ByteProgress | None = None,
        overwrite: bool = True,
        resume: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - retries and all
    ) -> Path:
        """Download one file of a job.

        It is written to a hidden neighbour (``.<name>.….part``) and renamed when it is whole, so that the
        destination holds the whole file or what it held before. A connection that breaks is retried like any
        read, and the download goes on where it was, if the server can do that; only attempts that bring
        nothing more count.

        Args:
            job_id: The job.
            file_path: Its path below the job, for instance ``output/thumbnail.jpg``.
            dest: The file to write, or a folder, where it keeps its own name. Missing folders are made.
            on_progress: Called with the bytes done and the total, None where the server does not say it.
            overwrite: Replace a file that is there. Default True.
            resume: Keep what has arrived when this call fails, is cancelled or killed, and go on with what an
                earlier one has kept for the same destination. Default False: nothing is left behind.
            timeout: Seconds for the whole call, above 0; None for no limit.

        Returns:
            Where the file is.

        Raises:
            JobNotFoundError: There is no such job.
            JobFileNotFoundError: The job has no such file.
            InvalidParameterError: ``file_path`` leads out of the job, or ``timeout`` is not above 0.
            DestinationExistsError: The file is there, and ``overwrite`` is off.
            FileWriteError: It cannot be written there.
            InvalidResponseError: What came is not the file, or not as long as announced.
            ServerUnavailableError: The server could not be reached, or the connection broke each time.
        """
        address = self._file_address(job_id, file_path)
        http = self._open().http
        target = await in_thread(file_or_folder, dest, file_path)
        await in_thread(check_place, target, overwrite=overwrite)
        url = f"{self.config.base_url}{address}"

        def request(headers: dict[str, str]) -> AbstractAsyncContextManager[httpx.Response]:
            accept = {RANGE_NOT_SATISFIABLE} if "Range" in headers else ()
            return http.stream(address, Asked.FILE, headers=headers, accept=accept)

        with operation("download", job_id=job_id) as under_way:
            async with (
                http.within(timeout, f"Downloading {file_path}", address),
                kept_in_part(target, url if resume else None) as part,
            ):
                download = Download(part, file_path, on_progress)
                # A link that breaks, and still gets on, is not given up.
                await http.retried(can_repeat, lambda: download.attempt(request), progress=lambda: part.done)
                under_way.transferred = part.done
                await in_thread(part.finish, overwrite=overwrite)
        return target

    async def read_job_file(
        self,
        job_id: str,
        file_path: str,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        timeout: float | None = None,  # noqa: ASYNC109 - retries and all
    ) -> bytes:
        """Read a small file of a job into memory.

        Args:
            job_id: The job.
            file_path: Its path below the job, for instance ``output/hash.json``.
            max_bytes: The most that is read, by default 64 MiB.
            timeout: Seconds for the whole call, above 0; None for no limit.

        Raises:
            JobNotFoundError: There is no such job.
            JobFileNotFoundError: The job has no such file.
            InvalidResponseError: What came is not the file, is longer than ``max_bytes``, or incomplete.
            InvalidParameterError: ``file_path`` leads out of the job, or ``timeout`` is not above 0.
        """
        address = self._file_address(job_id, file_path)
        http = self._open().http
        with operation("download", job_id=job_id) as under_way:
            async with http.within(timeout, f"Reading {file_path}", address):
                content = await _whole(http, address, file_path, max_bytes)
                under_way.transferred = len(content)
                return content

    @contextlib.asynccontextmanager
    async def open_job_file(self, job_id: str, file_path: str) -> AsyncGenerator[JobFileStream]:
        """A file of a job as a stream of chunks, for whoever wants to keep it nowhere or elsewhere.

            async with client.open_job_file(job_id, "output/video.ts") as stream:
                async for chunk in stream: ...

        It takes one of the client's ``pool_maxsize`` turns as long as it is open: where there is but one, any
        other call inside of it waits, without end unless ``pool_timeout`` is set. Beginning is retried like
        any read; a stream that breaks off is not.

        Args:
            job_id: The job.
            file_path: Its path below the job.

        Raises:
            JobNotFoundError: There is no such job.
            JobFileNotFoundError: The job has no such file.
            InvalidParameterError: ``file_path`` leads out of the job.
            InvalidResponseError: What came is not the file, or, while reading: it ended too early.
            ServerUnavailableError: The server could not be reached, or, while reading, the connection broke.
        """
        address = self._file_address(job_id, file_path)
        http = self._open().http
        with operation("download", job_id=job_id) as under_way:
            async with contextlib.AsyncExitStack() as stack:
                response = await _first_answer(stack, http, address)
                check_whole(file_path, response)
                stream = JobFileStream(file_path, response)
                try:
                    yield stream
                finally:
                    under_way.transferred = stream.received
                    await stream.aclose()

    async def download_job_files(
        self,
        job_id: str,
        files: Iterable[str],
        dest_dir: Path | str,
        *,
        relative_to: str = "",
        concurrency: int | None = None,
        on_progress: Callable[[FilesProgress], None] | None = None,
        overwrite: bool = True,
    ) -> list[Path]:
        """Download files of a job into a folder, several at a time: all of them, or none.

        Nothing appears in the folder before every file has arrived whole; until then they are kept in a
        hidden folder inside it.

        Args:
            job_id: The job.
            files: Their paths below the job, or one of them. None of them may lead out of the destination.
            dest_dir: The folder, made if it is missing.
            relative_to: The folder of the job below which files keep their folders: by default the job
                itself, so that ``output/a.ts`` becomes ``dest_dir/output/a.ts``.
            concurrency: How many at a time, 1 to the config's ``pool_maxsize``; by default 8 or that.
            on_progress: Called with the state of the file that went on and of the whole.
            overwrite: Replace files that are there. Default True.

        Returns:
            Where the files are, each once, in the order of ``files``.

        Raises:
            JobFilesError: Some could not be downloaded or put into place; it names each of them. Those that
                could not be downloaded leave the folder as it was.
            DestinationExistsError: A file is there, and ``overwrite`` is off; the folder is as it was.
            FileWriteError: A folder is where a file belongs; the folder is as it was.
            InvalidParameterError: A path leads out of the folder, or is not below ``relative_to``.
        """
        if concurrency is None:
            concurrency = min(8, self.config.pool_maxsize)
        checked_concurrency(concurrency, self.config.pool_maxsize)
        files = [files] if isinstance(files, str) else files
        targets = {file: _target(file, relative_to) for file in files}
        self._open()  # a client that is closed is no fault of single files
        folder = Path(dest_dir)
        report = FilesReporter(on_progress, targets)
        await in_thread(_check_places, folder, targets.values(), overwrite=overwrite)
        async with _staging(folder) as staging:

            async def fetch(file: str) -> Path:
                place = staging / targets[file]
                path = await self.download_job_file(job_id, file, place, on_progress=report.of(file))
                report.complete(file)
                return path

            async with contextlib.aclosing(
                map_concurrently(fetch, targets, concurrency=concurrency)
            ) as outcomes:
                failures = {
                    file: outcome async for file, outcome in outcomes if isinstance(outcome, Exception)
                }
            for failure in failures.values():
                if isinstance(failure, ClientClosedError):  # of the whole call, and not of one file
                    raise failure
            if not failures:
                failures = await in_thread(_move_all, staging, folder, targets, overwrite=overwrite)
            if failures:
                raise JobFilesError.of(job_id, failures)
            return [folder / target for target in targets.values()]

    def _file_address(self, job_id: str, file_path: str) -> str:
        if {"", ".", ".."} & set(file_path.split("/")) or "\0" in file_path:
            # An HTTP client resolves dots, and so would ask for something that is no file of this job.
            raise InvalidParameterError(f"{file_path!r} is not a path below a job")
        return f"{self.config.job_path(job_id)}/files/{quote(file_path)}"


async def _first_answer(stack: contextlib.AsyncExitStack, http: HTTPService, address: str) -> httpx.Response:
    """The answer of the first attempt that has one, open until the stack is closed."""
    return await http.retried(
        can_repeat, lambda: stack.enter_async_context(http.stream(address, Asked.FILE, headers=PLAIN))
    )


async def _whole(http: HTTPService, address: str, file_path: str, max_bytes: int) -> bytes:
    async def attempt() -> bytes:
        async with http.stream(address, Asked.FILE, headers=PLAIN) as response:
            check_whole(file_path, response)
            return await BodyReader(file_path, response).read(max_bytes)

    return await http.retried(can_repeat, attempt)


def _target(file: str, relative_to: str) -> PurePosixPath:
    """Where a file belongs below the destination."""
    try:
        target = PurePosixPath(checked_path(file)).relative_to(relative_to)
    except ValueError as exc:
        raise InvalidParameterError(str(exc)) from None
    if not target.name:
        raise InvalidParameterError(f"{file!r} is the folder that paths are relative to, not a file in it")
    return target


def _check_places(folder: Path, targets: Collection[PurePosixPath], *, overwrite: bool) -> None:
    """Find out before anything is downloaded whether it could be put into place."""
    _check_links(folder, targets)
    for target in targets:
        check_place(folder / target, overwrite=overwrite)


def _check_links(folder: Path, targets: Collection[PurePosixPath]) -> None:
    with writing(folder):
        root = folder.resolve()
        for parent in {folder / target.parent for target in targets}:
            if not parent.resolve().is_relative_to(root):
                raise InvalidParameterError(f"{parent}: a link leads out of {folder}")


@contextlib.asynccontextmanager
async def _staging(folder: Path) -> AsyncGenerator[Path]:
    """A hidden place in a folder; with it goes what is still empty of the folders that were made for it."""
    staging = folder / f".{secrets.token_hex(8)}.part"
    missing = await in_thread(_missing_folders, folder)
    try:
        yield staging
    finally:
        await in_thread(_clear, staging, missing)


def _missing_folders(folder: Path) -> list[Path]:
    """The folder itself and those that it is in, as far as they are not there yet, the innermost first."""
    return list(takewhile(lambda path: not os.path.lexists(path), (folder, *folder.parents)))


def _clear(staging: Path, folders: Iterable[Path]) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    with contextlib.suppress(OSError, ValueError):  # the first that is not empty
        for path in folders:
            path.rmdir()


def _move_all(
    staging: Path, folder: Path, targets: dict[str, PurePosixPath], *, overwrite: bool
) -> dict[str, Exception]:
    """Move files to where they belong, each atomically; those for which that failed, with the reason."""
    _check_places(folder, targets.values(), overwrite=overwrite)  # once more, as downloads take their time
    failures: dict[str, Exception] = {}
    for file, target in targets.items():
        path = folder / target
        try:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                if overwrite:
                    (staging / target).replace(path)
                else:
                    rename_if_free(staging / target, path)
        except FileWriteError as exc:
            failures[file] = exc
    return failures
