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
    """What the task reports; the hash itself stands in the job's file ``output/hash.json``."""

    media_type: Annotated[str | None, OrElse(None)] = None


class HashResult(ServerModel):
    """The content of the job's file.

    Attributes:
        hash_value: Hexadecimal digits.
        algorithm: The algorithm that was used; empty where the server does not say it.
        media_type: What kind of file it was, for instance ``"image"``.
        process_time: Seconds that the server took.
    """

    hash_value: str = Field(pattern=r"^[0-9a-fA-F]+$")
    algorithm: Annotated[str, OrElse("")] = ""
    media_type: Annotated[str | None, OrElse(None)] = None
    process_time: Annotated[float | None, OrElse(None)] = None


class HashClient(FileResultClient[HashOutput, HashParams]):
    """Compute a file's hash."""

    task_type: ClassVar[str] = "hash"

    async def compute(
        self,
        image: FileSource,
        *,
        algorithm: HashAlgorithm = "sha512",
        **options: Unpack[SubmitOptions[HashOutput]],
    ) -> JobResponse[HashOutput]:
        """Hash the bytes of a file of any kind.

        Args:
            image: The file.
            algorithm: ``"sha512"`` or ``"md5"``.
            **options: Common to all plugins, see `SubmitOptions`.
        """
        return await self.submit(image, self.params(HashParams, algorithm=algorithm), **options)

    async def load(self, job: JobResponse) -> HashResult:
        """Read the hash of a job that has completed.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFileNotFoundError: The server no longer has the file.
            InvalidResponseError: The file is not what it should be.
        """
        return await self.read_json(job, HashResult)
