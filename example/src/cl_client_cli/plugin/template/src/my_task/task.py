"""The task: what a worker of the server does for each job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.local import TaskFailedError
from PIL import Image, ImageFilter, ImageOps

if TYPE_CHECKING:
    from cl_client import JSONObject
    from cl_client.local import TaskContext

    from my_task.models import MyTaskParams


def run(context: TaskContext[MyTaskParams]) -> JSONObject:
    """Blur an image.

    Args:
        context: The job: its file, its parameters, and where its result goes.

    Returns:
        The output, with the fields of `my_task.models.MyTaskOutput`.

    Raises:
        TaskFailedError: The file is not an image; the message is for the user who sent it.
    """
    try:
        with Image.open(context.input_file) as stored:
            image = ImageOps.exif_transpose(stored).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise TaskFailedError(f"{context.input_file.name}: not an image that Pillow can open") from exc
    context.report(50)
    blurred = image.filter(ImageFilter.GaussianBlur(context.params.strength))
    blurred.save(context.output_file, "PNG")
    return {"width": blurred.width, "height": blurred.height}
