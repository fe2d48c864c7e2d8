"""The base of plugins whose result is one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from typing_extensions import override

from cl_client._core.choices import DEFAULT_MAX_BYTES
from cl_client._errors import InvalidResponseError
from cl_client.options import PluginOutputT
from cl_client.plugins.base import BasePluginClient, PluginParamsT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from cl_client.models import JobResponse
    from cl_client.options import ByteProgress

ReadT = TypeVar("ReadT")
ModelT = TypeVar("ModelT", bound=BaseModel)


class FileResultClient(BasePluginClient[PluginOutputT, PluginParamsT], Generic[PluginOutputT, PluginParamsT]):
    """The client of a plugin whose result is one file.

    Attributes:
        result_suffixes: Suffixes to add to the path from the server, tried in order until the file is found.
    """

    result_suffixes: ClassVar[tuple[str, ...]] = ("",)
    result_extension: ClassVar[str | None] = ""

    async def download(
        self, job: JobResponse, dest: Path | str, *, on_progress: ByteProgress | None = None
    ) -> Path:
        """Download the result of a completed job. The file appears only when it is complete.

        Args:
            job: The job.
            dest: The file to write, or a folder; in a folder the file keeps the server's name.
            on_progress: Called with the bytes done and the total; the total is None if unknown.

        Returns:
            The path of the file.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFileNotFoundError: The server no longer has the file.
        """

        async def download(path: str) -> Path:
            return await self._client.download_job_file(job.job_id, path, dest, on_progress=on_progress)

        return await self._first_found(job, download)

    async def read(self, job: JobResponse, *, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
        """Read the result of a completed job into memory.

        Args:
            job: The job.
            max_bytes: Upper limit of the file size in bytes, default 64 MiB.

        Returns:
            The content of the file.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFileNotFoundError: The server no longer has the file.
            InvalidResponseError: The file is longer than ``max_bytes``.
        """

        async def read(path: str) -> bytes:
            return await self._client.read_job_file(job.job_id, path, max_bytes=max_bytes)

        return await self._first_found(job, read)

    async def read_json(self, job: JobResponse, model: type[ModelT]) -> ModelT:
        """Read the result of a completed job as JSON.

        Args:
            job: The job.
            model: The pydantic model of the JSON document.

        Returns:
            The validated document.

        Raises:
            InvalidResponseError: The file is not valid JSON, or does not match the model.
            ComputeClientError: See `read`.
        """
        content = await self.read(job)
        try:
            return model.model_validate_json(content)
        except ValidationError as exc:
            raise InvalidResponseError(
                f"The result of job {job.job_id} is not a valid {model.__name__}: {exc}"
            ) from exc

    @override
    async def output_files(self, job: JobResponse) -> list[str]:
        async def look(path: str) -> str:
            async with self._client.open_job_file(job.job_id, path):
                return path

        return [
            await self._first_found(job, look) if len(self.result_suffixes) > 1 else self.output_path(job)
        ]

    async def _first_found(self, job: JobResponse, fetch: Callable[[str], Awaitable[ReadT]]) -> ReadT:
        from cl_client._http_errors import JobFileNotFoundError

        path = self.output_path(job)
        *first_tries, last_try = self.result_suffixes
        for suffix in first_tries:
            try:
                return await fetch(path + suffix)
            except JobFileNotFoundError:
                continue
        return await fetch(path + last_try)
