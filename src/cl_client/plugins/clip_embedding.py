"""CLIP embeddings of pictures: what they show, as a vector of 512 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cl_client.plugins.embedding import EmbeddingClient, EmbeddingOutput, EmbeddingParams

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.models import JobResponse
    from cl_client.options import FileSource, SubmitOptions


class ClipEmbeddingParams(EmbeddingParams):
    """Whether the vector is scaled to unit length."""


class ClipEmbeddingOutput(EmbeddingOutput):
    """Size and kind of the embedding; the vector itself is a ``.npy`` file of the job."""


class ClipEmbeddingClient(EmbeddingClient[ClipEmbeddingOutput, ClipEmbeddingParams]):
    """CLIP embeddings of pictures: what they show, as a vector of 512 numbers."""

    task_type: ClassVar[str] = "clip_embedding"

    async def embed_image(
        self,
        image: FileSource,
        *,
        normalize: bool = True,
        **options: Unpack[SubmitOptions[ClipEmbeddingOutput]],
    ) -> JobResponse[ClipEmbeddingOutput]:
        """Embed a picture with CLIP (MobileCLIP on today's servers), 512 float32 numbers.

        Args:
            image: The picture.
            normalize: Scale the vector to unit length (L2).
            **options: Common to all plugins, see `SubmitOptions`.
        """
        return await self.submit(image, self.params(ClipEmbeddingParams, normalize=normalize), **options)
