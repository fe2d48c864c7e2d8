"""Common code of the embeddings of whole images: from the image to the model's input to the vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from cl_client.local.tasks.contract import ParamsT, TaskContext, TaskFailedError
from cl_client.local.tasks.embeddings import onnx_model
from cl_client.local.tasks.files import written_whole
from cl_client.local.tasks.images.opening import open_picture
from cl_client.local.tasks.images.orientation import upright
from cl_client.local.tasks.images.pixels import displayable, flattened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cl_client.models import JSONObject

_SIDE: Final = 224
"""Pixels; the image is stretched to a square, not cropped, as on CL Servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEmbedding:
    """A model that embeds images, and the pre-processing of its input: 1 x 3 x 224 x 224, RGB.

    Attributes:
        model: Its name in `cl_client.local.models.catalog.MODELS`.
        resampling: The filter of the resize.
        mean: Subtracted from the values 0-1 of each colour channel.
        std: Divisor of each colour channel after that.
        sequence: Whether the output may be a sequence of tokens, of which the first is the embedding.
    """

    model: str
    resampling: Image.Resampling
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    sequence: bool = False


CLIP: Final = ImageEmbedding(
    model="mobileclip",
    resampling=Image.Resampling.BICUBIC,
    mean=(0.48145466, 0.4578275, 0.40821073),  # github.com/openai/CLIP, clip/clip.py, _transform
    std=(0.26862954, 0.26130258, 0.27577711),
)
DINO: Final = ImageEmbedding(
    model="dinov2",
    resampling=Image.Resampling.BILINEAR,
    mean=(0.485, 0.456, 0.406),  # github.com/facebookresearch/dinov2, dinov2/data/transforms.py
    std=(0.229, 0.224, 0.225),
    sequence=True,  # the class token, before those of the patches: dinov2/models/vision_transformer.py
)


def embed(context: TaskContext[ParamsT], embedding: ImageEmbedding, *, normalize: bool) -> JSONObject:
    """Embed a job's image and write the vector as ``.npy``, float32, shape ``(dim,)``.

    Args:
        context: The job.
        embedding: The model and its pre-processing.
        normalize: Whether to scale the vector to unit length (L2).

    Returns:
        The ``task_output``: ``embedding_dim`` and ``normalized``.

    Raises:
        TaskFailedError: The file is not an image, or the model is invalid.
        ModelUnavailableError: The model is missing or damaged.
    """
    path = context.models.require(embedding.model)
    batch = _batch(context.input_file, context.warn, embedding)
    vector = _vector(onnx_model.load(path).run(batch), embedding, path)
    save_vector(unit_vector(vector) if normalize else vector, context.output_file)
    return {"embedding_dim": vector.size, "normalized": normalize}


def _batch(file: Path, warn: Callable[[str], None], embedding: ImageEmbedding) -> NDArray[np.float32]:
    with open_picture(file, warn) as image:
        picture = flattened(displayable(upright(image))).convert("RGB")
        square = picture.resize((_SIDE, _SIDE), embedding.resampling)
    colours = np.asarray(square, dtype=np.float32) / np.float32(0xFF)
    mean, std = (np.array(values, dtype=np.float32) for values in (embedding.mean, embedding.std))
    return np.ascontiguousarray(((colours - mean) / std).transpose(2, 0, 1)[np.newaxis])


def _vector(output: NDArray[np.float32], embedding: ImageEmbedding, path: Path) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = np.squeeze(output)
    if embedding.sequence and vector.ndim == 2:  # noqa: PLR2004 - tokens x numbers
        vector = vector[0, :]
    if vector.ndim != 1:
        raise TaskFailedError(f"{path.name}: the model's output has shape {output.shape}, not one vector")
    if not np.isfinite(vector).all():
        raise TaskFailedError(f"{path.name}: the model's output has NaN or infinity for this image")
    return vector


def unit_vector(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale a vector to length 1 (L2).

    Args:
        vector: Shape ``(dim,)``.

    Returns:
        A vector of the same shape; a zero vector stays zero.
    """
    length = np.float32(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def save_vector(vector: NDArray[np.float32], target: Path) -> None:
    """Write a vector as ``.npy``; this suffix is appended to a name that has another one.

    CL Servers of generation A write ``.nb.npy``, as `numpy.save` appends the missing suffix.

    Args:
        vector: Shape ``(dim,)``.
        target: The file to write.

    Raises:
        TaskFailedError: The file cannot be written.
    """
    named = target if target.suffix == ".npy" else target.with_name(f"{target.name}.npy")
    with written_whole(named) as partial, partial.open("wb") as file:
        np.save(file, vector, allow_pickle=False)
