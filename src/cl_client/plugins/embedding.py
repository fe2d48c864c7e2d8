"""The base of plugins whose result is an embedding, a vector of numbers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Generic, cast

from typing_extensions import TypeVar

from cl_client._core.concurrency import DEFAULT_CONCURRENCY
from cl_client._core.lenient import OrElse
from cl_client._errors import InvalidResponseError, MissingExtraError
from cl_client.models import TaskOutput, TaskParams
from cl_client.plugins.file_result import FileResultClient

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from cl_client._core.concurrency import Inputs, Outcomes
    from cl_client.models import JobResponse
    from cl_client.options import MapOptions
    from cl_client.plugins.base import SourceT

_MAX_BYTES: Final = 1024**2
"""Far above the size of current embeddings: 2 KiB and a header."""


class EmbeddingParams(TaskParams):
    """Whether to scale the vector to unit length."""

    normalize: bool = True


class EmbeddingOutput(TaskOutput):
    """Dimension of the embedding and whether it is normalized; the vector is a ``.npy`` file of the job."""

    embedding_dim: Annotated[int | None, OrElse(None)] = None
    normalized: Annotated[bool | None, OrElse(None)] = None


EmbeddingT = TypeVar("EmbeddingT", bound=EmbeddingOutput)
EmbeddingParamsT = TypeVar("EmbeddingParamsT", bound=EmbeddingParams, default=EmbeddingParams)


class EmbeddingClient(FileResultClient[EmbeddingT, EmbeddingParamsT], Generic[EmbeddingT, EmbeddingParamsT]):
    """The client of a plugin whose result is an embedding."""

    # Servers of generation A pass numpy a file name without suffix, and numpy adds it.
    result_suffixes: ClassVar[tuple[str, ...]] = ("", ".npy")

    def embed_images(
        self,
        images: Inputs[SourceT],
        *,
        normalize: bool = True,
        concurrency: int = DEFAULT_CONCURRENCY,
        **options: Unpack[MapOptions[EmbeddingT]],
    ) -> Outcomes[SourceT, JobResponse[EmbeddingT]]:
        """Embed many images, several at a time, and yield each image with its job when the job ends.

        Args:
            images: The images: any iterable or async iterable, also an infinite one.
            normalize: Scale the vectors to unit length (L2).
            concurrency: Maximum number of jobs at the same time, 1 to the config's ``pool_maxsize``.
            **options: Common to all plugins, see `MapOptions`.

        Returns:
            Pairs of an image and its ended job, or of an image and its error; see `map`.

        Raises:
            InvalidParameterError: See `map`.
        """
        params = self.params(cast("type[EmbeddingParamsT]", self.params_model), normalize=normalize)
        return self.map(images, params, concurrency=concurrency, **options)

    async def load(self, job: JobResponse) -> NDArray[np.float32]:
        """Load the embedding of a completed job as an array. Requires the extra ``numpy``.

        Args:
            job: The job.

        Returns:
            A float32 array of shape ``(dim,)``; ``dim`` is the ``embedding_dim`` of the job, if given.

        Raises:
            MissingExtraError: numpy is not installed.
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFileNotFoundError: The server no longer has the file.
            InvalidResponseError: The file does not contain a valid embedding.
        """
        try:
            import numpy as np
        except ImportError:
            raise MissingExtraError("Loading an embedding", "numpy") from None
        content = await self.read(job, max_bytes=_MAX_BYTES)
        try:
            loaded = cast("object", np.load(io.BytesIO(content), allow_pickle=False))
        except Exception as exc:  # a damaged header raises one of many types
            raise InvalidResponseError(f"The embedding of job {job.job_id} is damaged: {exc}") from exc
        if not isinstance(loaded, np.ndarray):
            raise InvalidResponseError(f"The embedding of job {job.job_id} is not a single array")
        embedding = cast("NDArray[np.float32]", loaded)
        dim = self.output(job).embedding_dim or max(embedding.size, 1)
        if embedding.dtype != np.float32 or embedding.shape != (dim,):
            raise InvalidResponseError(
                f"The embedding of job {job.job_id} is {embedding.dtype} of shape {embedding.shape}; "
                f"expected float32 of shape ({dim},)"
            )
        return embedding
