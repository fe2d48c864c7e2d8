"""What the plugins share whose result is an embedding, a vector of numbers."""

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
"""Far above the 2 KiB and a header of today's embeddings."""


class EmbeddingParams(TaskParams):
    """Whether the vector is scaled to unit length."""

    normalize: bool = True


class EmbeddingOutput(TaskOutput):
    """Size and kind of the embedding; the vector itself is a ``.npy`` file of the job."""

    embedding_dim: Annotated[int | None, OrElse(None)] = None
    normalized: Annotated[bool | None, OrElse(None)] = None


EmbeddingT = TypeVar("EmbeddingT", bound=EmbeddingOutput)
EmbeddingParamsT = TypeVar("EmbeddingParamsT", bound=EmbeddingParams, default=EmbeddingParams)


class EmbeddingClient(FileResultClient[EmbeddingT, EmbeddingParamsT], Generic[EmbeddingT, EmbeddingParamsT]):
    """A plugin whose result is an embedding."""

    # Servers of generation A give numpy the name of the result without its suffix, and numpy adds it.
    result_suffixes: ClassVar[tuple[str, ...]] = ("", ".npy")

    def embed_images(
        self,
        images: Inputs[SourceT],
        *,
        normalize: bool = True,
        concurrency: int = DEFAULT_CONCURRENCY,
        **options: Unpack[MapOptions[EmbeddingT]],
    ) -> Outcomes[SourceT, JobResponse[EmbeddingT]]:
        """Embed many pictures, a few at a time, and yield each with its job as soon as it has ended.

        Args:
            images: The pictures, any iterable, also an endless or an asynchronous one.
            normalize: Scale the vectors to unit length (L2).
            concurrency: Jobs at the same time, 1 to the config's ``pool_maxsize``.
            **options: Common to all plugins, see `MapOptions`.

        Raises:
            InvalidParameterError: See `map`, of which this is the verb.
        """
        params = self.params(cast("type[EmbeddingParamsT]", self.params_model), normalize=normalize)
        return self.map(images, params, concurrency=concurrency, **options)

    async def load(self, job: JobResponse) -> NDArray[np.float32]:
        """Load the embedding of a job that has completed; needs the extra ``numpy``.

        Returns:
            A float32 array of shape ``(dim,)``, that of the job's ``embedding_dim`` where the server says it.

        Raises:
            MissingExtraError: numpy is not installed.
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFileNotFoundError: The server no longer has the file.
            InvalidResponseError: The file holds something else.
        """
        try:
            import numpy as np
        except ImportError:
            raise MissingExtraError("Loading an embedding", "numpy") from None
        content = await self.read(job, max_bytes=_MAX_BYTES)
        try:
            loaded = cast("object", np.load(io.BytesIO(content), allow_pickle=False))
        except Exception as exc:  # a damaged header surfaces as any of half a dozen types
            raise InvalidResponseError(f"The embedding of job {job.job_id} is damaged: {exc}") from exc
        if not isinstance(loaded, np.ndarray):
            raise InvalidResponseError(f"The embedding of job {job.job_id} is no single array")
        embedding = cast("NDArray[np.float32]", loaded)
        dim = self.output(job).embedding_dim or max(embedding.size, 1)
        if embedding.dtype != np.float32 or embedding.shape != (dim,):
            raise InvalidResponseError(
                f"The embedding of job {job.job_id} is {embedding.dtype} of shape {embedding.shape}, "
                f"not float32 of shape ({dim},)"
            )
        return embedding
