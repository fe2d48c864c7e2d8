"""Face embeddings: whose face it is, as a vector of 512 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from cl_client._core.lenient import OrElse
from cl_client.plugins.embedding import EmbeddingClient, EmbeddingOutput, EmbeddingParams

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.models import JobResponse
    from cl_client.options import FileSource, SubmitOptions


class FaceEmbeddingParams(EmbeddingParams):
    """Whether to scale the vector to unit length."""


class FaceEmbeddingOutput(EmbeddingOutput):
    """Dimension and quality of the embedding; the vector is a ``.npy`` file of the job."""

    quality_score: Annotated[float | None, OrElse(None)] = None
    """0-1, from the sharpness of the face; None if the server does not give it."""


class FaceEmbeddingClient(EmbeddingClient[FaceEmbeddingOutput, FaceEmbeddingParams]):
    """The client for face embeddings: whose face it is, as a vector of 512 numbers."""

    task_type: ClassVar[str] = "face_embedding"

    async def embed_faces(
        self,
        image: FileSource,
        *,
        normalize: bool = True,
        **options: Unpack[SubmitOptions[FaceEmbeddingOutput]],
    ) -> JobResponse[FaceEmbeddingOutput]:
        """Embed the face in an image with ArcFace: 512 float32 numbers. The image must show exactly one face.

        Args:
            image: The image file.
            normalize: Scale the vector to unit length (L2).
            **options: Common to all plugins, see `SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.

        Raises:
            InvalidParameterError: A parameter or an option is invalid; nothing was sent.
            ComputeClientError: See `ComputeClient.submit_job`.
        """
        return await self.submit(image, self.params(FaceEmbeddingParams, normalize=normalize), **options)
