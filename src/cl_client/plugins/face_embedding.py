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
    """Whether the vector is scaled to unit length."""


class FaceEmbeddingOutput(EmbeddingOutput):
    """Size, kind and quality of the embedding; the vector itself is a ``.npy`` file of the job."""

    quality_score: Annotated[float | None, OrElse(None)] = None
    """0-1, from the sharpness of the face; None where the server gives none."""


class FaceEmbeddingClient(EmbeddingClient[FaceEmbeddingOutput, FaceEmbeddingParams]):
    """Face embeddings: whose face it is, as a vector of 512 numbers."""

    task_type: ClassVar[str] = "face_embedding"

    async def embed_faces(
        self,
        image: FileSource,
        *,
        normalize: bool = True,
        **options: Unpack[SubmitOptions[FaceEmbeddingOutput]],
    ) -> JobResponse[FaceEmbeddingOutput]:
        """Embed the face on a picture that shows exactly one, with ArcFace, 512 float32 numbers.

        Args:
            image: The picture.
            normalize: Scale the vector to unit length (L2).
            **options: Common to all plugins, see `SubmitOptions`.
        """
        return await self.submit(image, self.params(FaceEmbeddingParams, normalize=normalize), **options)
