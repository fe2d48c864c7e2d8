"""A small JPEG of a picture or a video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from cl_client._core.lenient import OrElse
from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.plugins.file_result import FileResultClient

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.options import FileSource, SubmitOptions


PixelCount = Annotated[int, Field(gt=0)]


class MediaThumbnailParams(TaskParams):
    """The box that the thumbnail fits into, in pixels."""

    width: PixelCount | None = None
    height: PixelCount | None = None
    maintain_aspect_ratio: bool = True


class MediaThumbnailOutput(TaskOutput):
    """Whether it was ``"image"`` or ``"video"``; the thumbnail is the job's file."""

    media_type: Annotated[str | None, OrElse(None)] = None


class MediaThumbnailClient(FileResultClient[MediaThumbnailOutput, MediaThumbnailParams]):
    """Make thumbnails."""

    task_type: ClassVar[str] = "media_thumbnail"

    async def generate(
        self,
        media: FileSource,
        width: int | None = None,
        height: int | None = None,
        *,
        maintain_aspect_ratio: bool = True,
        **options: Unpack[SubmitOptions[MediaThumbnailOutput]],
    ) -> JobResponse[MediaThumbnailOutput]:
        """Make a JPEG thumbnail.

        Args:
            media: The picture or video.
            width: Pixels, at least 1. None: it follows from the height; without both, the server's default.
            height: Pixels, at least 1. None: it follows from the width; without both, the server's default.
            maintain_aspect_ratio: Fit into the box rather than fill it exactly. Default True.
            **options: Common to all plugins, see `SubmitOptions`.
        """
        params = self.params(
            MediaThumbnailParams, width=width, height=height, maintain_aspect_ratio=maintain_aspect_ratio
        )
        return await self.submit(media, params, **options)
