"""DINO embeddings of images: how they look, as a vector of 384 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cl_client.plugins.embedding import EmbeddingClient, EmbeddingOutput, EmbeddingParams

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.models import JobResponse
    from cl_client.options import FileSource, SubmitOptions


class DinoEmbeddingParams(EmbeddingParams):
    """Whether to scale the vector to unit length."""


class DinoEmbeddingOutput(EmbeddingOutput):
    """Dimension of the embedding and whether it is normalized; the vector is a ``.npy`` file of the job."""


class DinoEmbeddingClient(EmbeddingClient[DinoEmbeddingOutput, DinoEmbeddingParams]):
    """The client for DINO embeddings of images: how they look, as a vector of 384 numbers."""

    task_type: ClassVar[str] = "dino_embedding"

    async def embed_image(
        self,
        image: FileSource,
        *,
        normalize: bool = True,
        **options: Unpack[SubmitOptions[DinoEmbeddingOutput]],
    ) -> JobResponse[DinoEmbeddingOutput]:
        """Embed an image with DINOv2 ViT-S/14: 384 float32 numbers.

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
        return await self.submit(image, self.params(DinoEmbeddingParams, normalize=normalize), **options)
