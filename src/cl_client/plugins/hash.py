"""Cryptographic hashes of what a file shows, or of its bytes."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the table below
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from cl_client._core.choices import HashAlgorithm  # noqa: TC001 - pydantic reads it at run time
from cl_client._core.lenient import OrElse
from cl_client.models import JobResponse, ServerModel, TaskOutput, TaskParams
from cl_client.plugins.file_result import FileResultClient

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.options import FileSource, SubmitOptions


HashedPart: TypeAlias = Literal["pixels", "key_frames", "bytes"]
"""What a hash covers: an image's decoded pixels, a video's key frames, or all bytes of the file."""

_HASHED: Final[Mapping[str, HashedPart]] = {
    "sha512_image": "pixels",
    "sha512_video": "key_frames",
    "sha512_generic": "bytes",
    "md5": "bytes",
    "sha512": "bytes",  # the local server of version 0.1
}
"""By the server's ``algorithm``."""


class HashParams(TaskParams):
    """Which hash to compute; ``sha512`` is not always one of the file's bytes, see `HashClient.compute`."""

    algorithm: HashAlgorithm = "sha512"


class HashOutput(TaskOutput):
    """The output of the task; the hash itself is in the job's file ``output/hash.json``.

    Attributes:
        media_type: The kind of file: ``"image"``, ``"video"``, ``"audio"``, ``"text"``, ``"url"`` (a text
            that is one URL) or ``"file"``.
    """

    media_type: Annotated[str | None, OrElse(None)] = None


class HashResult(ServerModel):
    """The content of the job's result file.

    Attributes:
        hash_value: The hash as hexadecimal digits.
        algorithm: The server's word for how it was computed: ``"sha512_image"``, ``"sha512_video"``,
            ``"sha512_generic"`` or ``"md5"``; empty if the server does not give it.
        media_type: The kind of file, see `HashOutput`.
        process_time: Processing time on the server in seconds.
    """

    hash_value: str = Field(pattern=r"^[0-9a-fA-F]+$")
    algorithm: Annotated[str, OrElse("")] = ""
    media_type: Annotated[str | None, OrElse(None)] = None
    process_time: Annotated[float | None, OrElse(None)] = None

    @property
    def hashed(self) -> HashedPart | None:
        """What the hash covers; None if the server says it in a word that this version does not know.

        Only a hash of ``"bytes"`` equals that of ``sha512sum`` or ``md5sum``.
        """
        return _HASHED.get(self.algorithm)


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
        """Compute the hash of what a file shows, or of its bytes.

        ``sha512`` covers the decoded pixels of an image, the key frames of a video, and the bytes of any
        other file. So it finds copies of a photo that differ in their metadata only, but it is not what
        ``sha512sum`` prints. An image's orientation, its further frames, and a video's sound do not count.
        ``md5`` always covers the bytes. `HashResult.hashed` says which it was.

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
