"""The plugin client: what an application calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cl_client.plugins.file_result import FileResultClient

from my_task.models import MyTaskOutput, MyTaskParams

if TYPE_CHECKING:
    from cl_client import JobResponse
    from cl_client.options import FileSource, SubmitOptions
    from typing_extensions import Unpack


class MyTaskClient(FileResultClient[MyTaskOutput, MyTaskParams]):
    """Blurred images."""

    task_type: ClassVar[str] = "my_task"
    result_extension: ClassVar[str | None] = ".png"

    async def run(
        self,
        image: FileSource,
        *,
        strength: int = 5,
        **options: Unpack[SubmitOptions[MyTaskOutput]],
    ) -> JobResponse[MyTaskOutput]:
        """Blur an image.

        Args:
            image: The image.
            strength: The radius in pixels, 1 to 50.
            **options: Common to all plugins, see `cl_client.options.SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.
        """
        return await self.submit(image, self.params(MyTaskParams, strength=strength), **options)
