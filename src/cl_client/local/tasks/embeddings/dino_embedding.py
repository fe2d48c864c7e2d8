"""DINO embeddings: the look of an image as a vector of 384 numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.local.tasks.embeddings.image_embedding import DINO, embed

if TYPE_CHECKING:
    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.dino_embedding import DinoEmbeddingParams


def run(context: TaskContext[DinoEmbeddingParams]) -> JSONObject:
    """Embed the image with DINOv2. Raises what `embed` raises.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``normalized`` and ``embedding_dim``, in the order of real servers.
    """
    output = embed(context, DINO, normalize=context.params.normalize)
    return {key: output[key] for key in ("normalized", "embedding_dim")}
