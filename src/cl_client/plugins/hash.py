"""Cryptographic hashes of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.plugins.base import BasePluginClient

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.plugins.base import SubmitOptions
    from cl_client.transfers import FileSource

HashAlgorithm: TypeAlias = Literal["sha512", "md5"]


class HashParams(TaskParams):
    """Which hash to compute."""

    algorithm: HashAlgorithm = "sha512"


class HashOutput(TaskOutput):
    """What the task reports; the hash itself stands in the job's file ``output/hash.json``."""

    media_type: str | None = None


class HashClient(BasePluginClient[HashOutput]):
    """Compute a file's hash."""

    task_type: ClassVar[str] = "hash"
    output_model: ClassVar[type[TaskOutput]] = HashOutput

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
