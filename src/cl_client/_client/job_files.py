"""The files of jobs: read into memory, streamed, or downloaded one by one or several at once."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from cl_client._client.resources import ClientPart
from cl_client._core.choices import DEFAULT_MAX_BYTES
from cl_client._core.concurrency import checked_concurrency, map_concurrently
from cl_client._core.telemetry import operation
from cl_client._core.threads import in_thread
from cl_client._errors import ClientClosedError, FileWriteError, InvalidParameterError, JobFilesError
from cl_client._http.errors import Asked
from cl_client._http.retries import can_repeat
from cl_client._transfers.body import BodyReader
from cl_client._transfers.download import (
    PLAIN,
    RANGE_NOT_SATISFIABLE,
    Download,
    JobFileStream,
    check_whole,
    kept_in_part,
)
from cl_client._transfers.job_paths import path_below_job, requestable_path
from cl_client._transfers.partial_file import check_place, file_or_folder, rename_if_free, writing
from cl_client._transfers.progress import FilesReporter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Iterable
    from contextlib import AbstractAsyncContextManager

    import httpx

    from cl_client._http.service import HTTPService
    from cl_client._transfers.progress import FilesProgress
    from cl_client.options import ByteProgress


class JobFiles(ClientPart):
    """The methods of `ComputeClient` for the files of jobs."""

    async def download_job_file(
        self,
        job_id: str,
        file_path: str,
        dest: Path | str,
        *,
        on_progress: ByteProgress | None = None,
        overwrite: bool = True,
        resume: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - includes retries
    ) -> Path:
        """Download one file of a job.

        The file is written to a hidden temporary file next to it (``.<name>.….part``) and renamed when it is
        complete, so the destination never holds a partial file. If the connection breaks, the download is
        retried and continues where it stopped, if the server supports that; attempts that received data do
        not count as retries.

        Args:
            job_id: The job.
            file_path: The path of the file below the job, for instance ``output/thumbnail.jpg``; or as the
                server names it, such as an absolute path of its own disk (``job.output.master_playlist``).
            dest: The file to write, or a folder; in a folder the file keeps its name. Missing folders are
                created.
            on_progress: Called with the bytes done and the total; the total is None if unknown.
            overwrite: Replace an existing file. Default True.
            resume: Keep the partial file if this call fails, is cancelled or killed, and continue a partial
                file that an earlier call kept for the same destination. Default False.
            timeout: Timeout in seconds for the whole call, above 0; None for no limit.

        Returns:
            The path of the file.

        Raises:
            JobNotFoundError: The job was not found.
            JobFileNotFoundError: The job has no file at this path.
            InvalidParameterError: ``file_path`` is not below the job, or ``timeout`` is not above 0.
            DestinationExistsError: The file exists and ``overwrite`` is False.
            FileWriteError: The file cannot be written.
            InvalidResponseError: The response is not the file, or is shorter or longer than announced.
            ServerUnavailableError: The server was unreachable, or the connection broke on every attempt.
        """
        file_path, address = self._file_address(job_id, file_path)
        http = self._open().http
        target = await in_thread(_checked_target, dest, file_path, overwrite=overwrite)
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
                # Attempts that make progress do not count as failures.
                await http.retried(
                    can_repeat, lambda: download.attempt(request), progress=lambda: download.done
                )
                under_way.transferred = download.done
                await in_thread(download.finish, overwrite=overwrite)
        return target

    async def read_job_file(
        self,
        job_id: str,
        file_path: str,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        timeout: float | None = None,  # noqa: ASYNC109 - includes retries
    ) -> bytes:
        """Read a small file of a job into memory.

        Args:
            job_id: The job.
            file_path: The path of the file, see `download_job_file`; for instance ``output/hash.json``.
            max_bytes: Upper limit of the file size in bytes, default 64 MiB.
            timeout: Timeout in seconds for the whole call, above 0; None for no limit.

        Returns:
            The content of the file.

        Raises:
            JobNotFoundError: The job was not found.
            JobFileNotFoundError: The job has no file at this path.
            InvalidResponseError: The response is not the file, is incomplete or longer than ``max_bytes``.
            InvalidParameterError: ``file_path`` is not below the job, or ``timeout`` is not above 0.
        """
        file_path, address = self._file_address(job_id, file_path)
        http = self._open().http
        with operation("download", job_id=job_id) as under_way:
            async with http.within(timeout, f"Reading {file_path}", address):
                content = await _whole(http, address, file_path, max_bytes)
                under_way.transferred = len(content)
                return content

    @contextlib.asynccontextmanager
    async def open_job_file(self, job_id: str, file_path: str) -> AsyncGenerator[JobFileStream]:
        """Open a file of a job as a stream of chunks.

            async with client.open_job_file(job_id, "output/video.ts") as stream:
                async for chunk in stream: ...

        An open stream occupies one of the client's ``pool_maxsize`` requests. If ``pool_maxsize`` is 1, any
        other call inside the block waits forever, unless ``pool_timeout`` is set. Opening is retried; a
        stream that breaks while it is read is not.

        Args:
            job_id: The job.
            file_path: The path of the file, see `download_job_file`.

        Yields:
            The stream.

        Raises:
            JobNotFoundError: The job was not found.
            JobFileNotFoundError: The job has no file at this path.
            InvalidParameterError: ``file_path`` is not below the job.
            InvalidResponseError: The response is not the file, or ends too early while it is read.
            ServerUnavailableError: The server is unreachable, or the connection breaks while it is read.
        """
        file_path, address = self._file_address(job_id, file_path)
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

        The files are downloaded to a hidden folder inside the destination, and moved when all are complete.

        Args:
            job_id: The job.
            files: The paths of the files, see `download_job_file`, or one path.
            dest_dir: The destination folder, created if missing.
            relative_to: The folder of the job below which subfolders are kept, a path like those of
                ``files``. By default the job, so that ``output/a.ts`` becomes ``dest_dir/output/a.ts``.
            concurrency: Maximum number of files at the same time, 1 to the config's ``pool_maxsize``. Default
                8, or ``pool_maxsize`` if that is less.
            on_progress: Called with the progress of the current file and of all files.
            overwrite: Replace existing files. Default True.

        Returns:
            The paths of the files in the order of ``files``, without duplicates.

        Raises:
            JobFilesError: Some files could not be downloaded or moved; the message names them. After a failed
                download the folder is unchanged.
            DestinationExistsError: A file exists and ``overwrite`` is False; the folder is unchanged.
            FileWriteError: There is a folder at the path of a file; the folder is unchanged.
            InvalidParameterError: A path is outside the folder, or is not below ``relative_to``.
            ClientClosedError: The client is closed.
        """
        if concurrency is None:
            concurrency = min(8, self.config.pool_maxsize)
        checked_concurrency(concurrency, self.config.pool_maxsize)
        files = [files] if isinstance(files, str) else files
        targets = _targets(job_id, files, relative_to)
        self._open()  # raises for a closed client, before any file fails
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
                if isinstance(failure, ClientClosedError):  # an error of the whole call, not of one file
                    raise failure
            if not failures:
                failures = await in_thread(_move_all, staging, folder, targets, overwrite=overwrite)
            if failures:
                incomplete = JobFilesError.of(job_id, failures)
                raise incomplete
            return [folder / target for target in targets.values()]

    def _file_address(self, job_id: str, named: str) -> tuple[str, str]:
        """The path of a file below its job, and where to request it."""
        try:
            path = requestable_path(named, job_id)
        except ValueError as exc:
            raise InvalidParameterError(str(exc)) from None
        return path, f"{self.config.job_path(job_id)}/files/{quote(path)}"


def _checked_target(dest: Path | str, name: str, *, overwrite: bool) -> Path:
    target = file_or_folder(dest, name)
    check_place(target, overwrite=overwrite)
    return target


async def _first_answer(stack: contextlib.AsyncExitStack, http: HTTPService, address: str) -> httpx.Response:
    """The first response; it stays open until the stack is closed."""
    return await http.retried(
        can_repeat, lambda: stack.enter_async_context(http.stream(address, Asked.FILE, headers=PLAIN))
    )


async def _whole(http: HTTPService, address: str, file_path: str, max_bytes: int) -> bytes:
    async def attempt() -> bytes:
        async with http.stream(address, Asked.FILE, headers=PLAIN) as response:
            check_whole(file_path, response)
            return await BodyReader(file_path, response).read(max_bytes)

    return await http.retried(can_repeat, attempt)


def _targets(job_id: str, files: Iterable[str], relative_to: str) -> dict[str, PurePosixPath]:
    """The paths of the files below the job, each with that below the destination."""
    try:
        folder = _folder_below(job_id, relative_to)
        below = [path_below_job(file, job_id) for file in files]
        targets = {file: PurePosixPath(file).relative_to(folder) for file in below}
    except ValueError as exc:
        raise InvalidParameterError(str(exc)) from None
    if str(folder) in targets:
        raise InvalidParameterError(f"{relative_to!r} is the folder given as relative_to, not a file in it")
    return targets


def _folder_below(job_id: str, named: str) -> PurePosixPath:
    folder = PurePosixPath(named.rstrip("/\\"))
    if folder.parts:
        return PurePosixPath(path_below_job(f"{folder}/file", job_id)).parent
    return folder


def _check_places(folder: Path, targets: Collection[PurePosixPath], *, overwrite: bool) -> None:
    """Check before the download that the files can be written."""
    _check_links(folder, targets)
    for target in targets:
        check_place(folder / target, overwrite=overwrite)


def _check_links(folder: Path, targets: Collection[PurePosixPath]) -> None:
    with writing(folder):
        root = folder.resolve()
        for parent in {folder / target.parent for target in targets}:
            if not parent.resolve().is_relative_to(root):
                raise InvalidParameterError(f"{parent}: a symbolic link leads out of {folder}")


@contextlib.asynccontextmanager
async def _staging(folder: Path) -> AsyncGenerator[Path]:
    """A hidden temporary folder. Folders created for it are removed with it if they are empty."""
    staging = folder / f".{secrets.token_hex(8)}.part"
    missing = await in_thread(_missing_folders, folder)
    try:
        yield staging
    finally:
        await in_thread(_clear, staging, missing)


def _missing_folders(folder: Path) -> list[Path]:
    """The folder and its parents that do not exist yet, the innermost first."""
    return list(takewhile(lambda path: not os.path.lexists(path), (folder, *folder.parents)))


def _clear(staging: Path, folders: Iterable[Path]) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    with contextlib.suppress(OSError, ValueError):  # stops at the first one that is not empty
        for path in folders:
            path.rmdir()


def _move_all(
    staging: Path, folder: Path, targets: dict[str, PurePosixPath], *, overwrite: bool
) -> dict[str, Exception]:
    """Move files to their destinations, each atomically; return the failed ones with the reason."""
    _check_places(folder, targets.values(), overwrite=overwrite)  # again, as the downloads took time
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
