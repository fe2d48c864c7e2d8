"""JPEG thumbnails of images and videos."""

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
    """The box that the thumbnail must fit into, in pixels."""

    width: PixelCount | None = None
    height: PixelCount | None = None
    maintain_aspect_ratio: bool = True


class MediaThumbnailOutput(TaskOutput):
    """The kind of the source, ``"image"`` or ``"video"``; the thumbnail is the job's file."""

    media_type: Annotated[str | None, OrElse(None)] = None


class MediaThumbnailClient(FileResultClient[MediaThumbnailOutput, MediaThumbnailParams]):
    """The client for thumbnails."""

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
        """Make a JPEG thumbnail of an image or a video.

        Args:
            media: The image or video file.
            width: Maximum width in pixels, 1 or more; None to derive it from the height. If both are None,
                the server's default.
            height: Maximum height in pixels, 1 or more; None to derive it from the width.
            maintain_aspect_ratio: Keep the aspect ratio; False to stretch to exactly this size.
            **options: Common to all plugins, see `SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.

        Raises:
            InvalidParameterError: A parameter or an option is invalid; nothing was sent.
            ComputeClientError: See `ComputeClient.submit_job`.
        """
        params = self.params(
            MediaThumbnailParams, width=width, height=height, maintain_aspect_ratio=maintain_aspect_ratio
        )
        return await self.submit(media, params, **options)
