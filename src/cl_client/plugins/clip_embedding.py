"""CLIP embeddings of images: what they show, as a vector of 512 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cl_client.plugins.embedding import EmbeddingClient, EmbeddingOutput, EmbeddingParams

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.models import JobResponse
    from cl_client.options import FileSource, SubmitOptions


class ClipEmbeddingParams(EmbeddingParams):
    """Whether to scale the vector to unit length."""


class ClipEmbeddingOutput(EmbeddingOutput):
    """Dimension of the embedding and whether it is normalized; the vector is a ``.npy`` file of the job."""


class ClipEmbeddingClient(EmbeddingClient[ClipEmbeddingOutput, ClipEmbeddingParams]):
    """The client for CLIP embeddings of images: what they show, as a vector of 512 numbers."""

    task_type: ClassVar[str] = "clip_embedding"

    async def embed_image(
        self,
        image: FileSource,
        *,
        normalize: bool = True,
        **options: Unpack[SubmitOptions[ClipEmbeddingOutput]],
    ) -> JobResponse[ClipEmbeddingOutput]:
        """Embed an image with CLIP (MobileCLIP on current servers): 512 float32 numbers.

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
        return await self.submit(image, self.params(ClipEmbeddingParams, normalize=normalize), **options)
