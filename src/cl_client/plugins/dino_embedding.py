"""DINO embeddings of pictures: how they look, as a vector of 384 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cl_client.plugins.embedding import EmbeddingClient, EmbeddingOutput, EmbeddingParams

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.models import JobResponse
    from cl_client.options import FileSource, SubmitOptions


class DinoEmbeddingParams(EmbeddingParams):
    """Whether the vector is scaled to unit length."""


class DinoEmbeddingOutput(EmbeddingOutput):
    """Size and kind of the embedding; the vector itself is a ``.npy`` file of the job."""


class DinoEmbeddingClient(EmbeddingClient[DinoEmbeddingOutput, DinoEmbeddingParams]):
    """DINO embeddings of pictures: how they look, as a vector of 384 numbers."""

    task_type: ClassVar[str] = "dino_embedding"

    async def embed_image(
        self,
        image: FileSource,
        *,
        normalize: bool = True,
        **options: Unpack[SubmitOptions[DinoEmbeddingOutput]],
    ) -> JobResponse[DinoEmbeddingOutput]:
        """Embed a picture with DINOv2 ViT-S/14, 384 float32 numbers.

        Args:
            image: The picture.
            normalize: Scale the vector to unit length (L2).
            **options: Common to all plugins, see `SubmitOptions`.
        """
        return await self.submit(image, self.params(DinoEmbeddingParams, normalize=normalize), **options)
