"""Cryptographic hashes of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from cl_client._core.choices import HashAlgorithm  # noqa: TC001 - pydantic reads it at run time
from cl_client._core.lenient import OrElse
from cl_client.models import JobResponse, ServerModel, TaskOutput, TaskParams
from cl_client.plugins.file_result import FileResultClient

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.options import FileSource, SubmitOptions


class HashParams(TaskParams):
    """Which hash to compute."""

    algorithm: HashAlgorithm = "sha512"


class HashOutput(TaskOutput):
    """The output of the task; the hash itself is in the job's file ``output/hash.json``."""

    media_type: Annotated[str | None, OrElse(None)] = None


class HashResult(ServerModel):
    """The content of the job's result file.

    Attributes:
        hash_value: The hash as hexadecimal digits.
        algorithm: The algorithm used; empty if the server does not give it.
        media_type: The kind of file, for instance ``"image"``.
        process_time: Processing time on the server in seconds.
    """

    hash_value: str = Field(pattern=r"^[0-9a-fA-F]+$")
    algorithm: Annotated[str, OrElse("")] = ""
    media_type: Annotated[str | None, OrElse(None)] = None
    process_time: Annotated[float | None, OrElse(None)] = None


class HashClient(FileResultClient[HashOutput, HashParams]):
    """The client for hashes of files."""

    task_type: ClassVar[str] = "hash"

    async def compute(
        self,
        image: FileSource,
        *,
        algorithm: HashAlgorithm = "sha512",
        **options: Unpack[SubmitOptions[HashOutput]],
    ) -> JobResponse[HashOutput]:
        """Compute the hash of a file.

        Args:
            image: The file, of any type.
            algorithm: ``"sha512"`` or ``"md5"``.
            **options: Common to all plugins, see `SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.

        Raises:
            InvalidParameterError: A parameter or an option is invalid; nothing was sent.
            ComputeClientError: See `ComputeClient.submit_job`.
        """
        return await self.submit(image, self.params(HashParams, algorithm=algorithm), **options)

    async def load(self, job: JobResponse) -> HashResult:
        """Read the hash of a completed job.

        Args:
            job: The job.

        Returns:
            The hash and how it was computed.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFileNotFoundError: The server no longer has the file.
            InvalidResponseError: The file is not a valid `HashResult`.
        """
        return await self.read_json(job, HashResult)
