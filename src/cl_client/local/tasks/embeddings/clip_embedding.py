"""CLIP embeddings: the content of an image as a vector of 512 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.local.tasks.embeddings.image_embedding import CLIP, embed

if TYPE_CHECKING:
    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.clip_embedding import ClipEmbeddingParams


def run(context: TaskContext[ClipEmbeddingParams]) -> JSONObject:
    """Embed the image with MobileCLIP. Raises what `embed` raises.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``embedding_dim`` and ``normalized``.
    """
    return embed(context, CLIP, normalize=context.params.normalize)
