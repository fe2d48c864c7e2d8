"""The files of jobs: read into memory, downloaded one by one, or many at once and all or nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cl_client.concurrency import checked_concurrency, map_concurrently
from cl_client.exceptions import InvalidParameterError, JobFilesError
from cl_client.job_paths import checked_path
from cl_client.threads import in_thread
from cl_client.transfers import base_name, read_response, save_response

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cl_client.config import ComputeClientConfig
    from cl_client.runtime import Runtime
    from cl_client.transfers import ByteProgress

DEFAULT_MAX_BYTES: Final = 64 * 1024**2


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
    ) -> Path:
        """Download one file of a job.

        Args:
            job_id: The job.
            file_path: Its path below the job, for instance ``output/thumbnail.jpg``.
            dest: The file to write, replaced if it is there, or a folder, where it keeps its own name.
                Missing folders are made. The file appears when it is whole, or not at all.
            on_progress: Called with the bytes done and the total, None where the server does not say it.

        Returns:
            Where the file is.

        Raises:
            JobNotFoundError: There is no such job.
            JobFileNotFoundError: The job has no such file.
            InvalidParameterError: ``file_path`` leads out of the job.
        """
        runtime = self._open()
        target = Path(dest)
        if str(dest).endswith(("/", os.sep)) or await in_thread(target.is_dir):
            target /= base_name(file_path)
        async with runtime.http.stream(self._file_address(job_id, file_path)) as response:
            return await save_response(response, target, on_progress)

    async def read_job_file(
        self, job_id: str, file_path: str, *, max_bytes: int = DEFAULT_MAX_BYTES
    ) -> bytes:
        """Read a small file of a job into memory.

        Args:
            job_id: The job.
            file_path: Its path below the job, for instance ``output/hash.json``.
            max_bytes: The most that is read, by default 64 MiB.

        Raises:
            JobNotFoundError: There is no such job.
            JobFileNotFoundError: The job has no such file.
            InvalidResponseError: The file is longer than ``max_bytes``, or arrived incomplete.
            InvalidParameterError: ``file_path`` leads out of the job.
        """
        async with self._open().http.stream(self._file_address(job_id, file_path)) as response:
            return await read_response(response, file_path, max_bytes)

    async def download_job_files(
        self,
        job_id: str,
        files: Iterable[str],
        dest_dir: Path | str,
        *,
        relative_to: str = "",
        concurrency: int | None = None,
    ) -> list[Path]:
        """Download files of a job into a folder, several at a time: all of them, or none.

        Nothing appears in the folder before every file is there whole; until then they are kept in a hidden
        folder inside it. Files that were there before are replaced.

        Args:
            job_id: The job.
            files: Their paths below the job. None of them may lead out of the destination.
            dest_dir: The folder, made if it is missing.
            relative_to: The folder of the job below which files keep their folders: by default the job
                itself, so that ``output/a.ts`` becomes ``dest_dir/output/a.ts``.
            concurrency: How many at a time, 1 to the config's ``pool_maxsize``; by default 8 or that.

        Returns:
            Where the files are, each once, in the order of ``files``.

        Raises:
            JobFilesError: Some could not be downloaded; it names each of them, and none is kept.
            InvalidParameterError: A path leads out of the folder, or is not below ``relative_to``.
        """
        if concurrency is None:
            concurrency = min(8, self.config.pool_maxsize)
        checked_concurrency(concurrency, self.config)
        targets = {file: _target(file, relative_to) for file in files}
        folder = Path(dest_dir)
        staging = folder / f".{secrets.token_hex(8)}.part"

        async def fetch(file: str) -> Path:
            return await self.download_job_file(job_id, file, staging / targets[file])

        try:
            async with contextlib.aclosing(
                map_concurrently(fetch, targets, concurrency=concurrency)
            ) as outcomes:
                failures = {
                    file: outcome async for file, outcome in outcomes if isinstance(outcome, Exception)
                }
            if failures:
                raise JobFilesError.of(job_id, failures)
            return await in_thread(_move_all, staging, folder, tuple(targets.values()))
        finally:
            await in_thread(shutil.rmtree, staging, ignore_errors=True)

    def _file_address(self, job_id: str, file_path: str) -> str:
        if {"", ".", ".."} & set(file_path.split("/")) or "\0" in file_path:
            # An HTTP client resolves dots, and so would ask for something that is no file of this job.
            raise InvalidParameterError(f"{file_path!r} is not a path below a job")
        return f"{self.config.job_path(job_id)}/files/{quote(file_path)}"


def _target(file: str, relative_to: str) -> PurePosixPath:
    """Where a file belongs below the destination."""
    try:
        target = PurePosixPath(checked_path(file)).relative_to(relative_to)
    except ValueError as exc:
        raise InvalidParameterError(str(exc)) from None
    if not target.name:
        raise InvalidParameterError(f"{file!r} is the folder that paths are relative to, not a file in it")
    return target


def _move_all(staging: Path, folder: Path, targets: Collection[PurePosixPath]) -> list[Path]:
    """Move files to where they belong; on a failure those already moved are removed again."""
    root = folder.resolve()
    for parent in {folder / target.parent for target in targets}:
        if not parent.resolve().is_relative_to(root):
            raise InvalidParameterError(f"{parent}: a link leads out of {folder}")
    moved: list[Path] = []
    try:
        for target in targets:
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            (staging / target).replace(path)
            moved.append(path)
    except OSError:
        for path in moved:
            path.unlink(missing_ok=True)
        raise
    return moved
