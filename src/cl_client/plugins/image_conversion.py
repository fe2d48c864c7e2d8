"""Conversion of images to other formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from cl_client._core.choices import ImageFormat  # noqa: TC001 - pydantic reads it at run time
from cl_client._core.lenient import OrElse, OrLeftOut
from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.plugins.file_result import FileResultClient

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.options import FileSource, SubmitOptions


class ImageConversionParams(TaskParams):
    """The target format, and its quality if the format has one."""

    format: ImageFormat
    quality: Annotated[int, Field(ge=1, le=100)] | None = None


class ImageConversionOutput(TaskOutput):
    """The output of the task; the result itself is the job's file.

    Attributes:
        dropped: What the original has and the result has not, sorted, for instance
            ``("IPTC", "animation")``. docs/files.md lists all words. Empty if nothing was lost, and always
            from servers other than `LocalServer`, which do not send it.
    """

    dropped: Annotated[tuple[Annotated[str, OrLeftOut()], ...], OrElse(())] = ()


class ImageConversionClient(FileResultClient[ImageConversionOutput, ImageConversionParams]):
    """The client for conversion of images."""

    task_type: ClassVar[str] = "image_conversion"

    async def convert(
        self,
        image: FileSource,
        output_format: ImageFormat,
        *,
        quality: int | None = None,
        **options: Unpack[SubmitOptions[ImageConversionOutput]],
    ) -> JobResponse[ImageConversionOutput]:
        """Convert an image to another format.

        Args:
            image: The image file.
            output_format: ``png``, ``jpg``, ``jpeg``, ``webp``, ``gif``, ``bmp`` or ``tiff``.
            quality: 1-100, for lossy formats; None for the server's default, 85.
            **options: Common to all plugins, see `SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.

        Raises:
            InvalidParameterError: A parameter or an option is invalid; nothing was sent.
            ComputeClientError: See `ComputeClient.submit_job`.
        """
        params = self.params(ImageConversionParams, format=output_format, quality=quality)
        return await self.submit(image, params, **options)
