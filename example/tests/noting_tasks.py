"""Tasks that complete with warnings, or without a part of their input; run in the local server's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.local.tasks.conversion import image_conversion
from cl_client.local.tasks.hashing import file_hash

if TYPE_CHECKING:
    from pydantic import JsonValue

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject
    from cl_client.plugins.hash import HashParams
    from cl_client.plugins.image_conversion import ImageConversionParams


def hash_with_warnings(context: TaskContext[HashParams]) -> JSONObject:
    """Warn of each line of the file but the first."""
    for line in context.input_file.read_text().splitlines()[1:]:
        context.warn(line)
    return file_hash.run(context)


def convert_with_losses(context: TaskContext[ImageConversionParams]) -> JSONObject:
    """Convert, and say that animation, layers and preview were dropped; of a GIF only the preview."""
    losses: list[JsonValue] = ["animation", "embedded preview", "layers"]
    is_gif = context.input_file.suffix == ".gif"
    dropped: JsonValue = ["embedded preview"] if is_gif else losses
    return image_conversion.run(context) | {"dropped": dropped}
