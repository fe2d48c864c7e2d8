"""The plugin clients, each imported and made on first access, then kept."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast, overload

from cl_client._client.job_files import JobFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cl_client._transfers.progress import FilesProgress
    from cl_client.models import JobResponse, TaskOutput, TaskParams
    from cl_client.options import FileSource, SubmitOptions
    from cl_client.plugins.base import BasePluginClient
    from cl_client.plugins.clip_embedding import ClipEmbeddingClient
    from cl_client.plugins.dino_embedding import DinoEmbeddingClient
    from cl_client.plugins.exif import ExifClient
    from cl_client.plugins.face_detection import FaceDetectionClient
    from cl_client.plugins.face_embedding import FaceEmbeddingClient
    from cl_client.plugins.hash import HashClient
    from cl_client.plugins.hls_streaming import HlsStreamingClient
    from cl_client.plugins.image_conversion import ImageConversionClient
    from cl_client.plugins.media_thumbnail import MediaThumbnailClient

PluginT = TypeVar("PluginT")


class PluginClients(JobFiles):
    """What `ComputeClient` inherits: one property per plugin, and what the plugins need of it."""

    @abstractmethod
    async def submit_job(
        self,
        task_type: str,
        source: FileSource,
        fields: Mapping[str, str],
        options: SubmitOptions[TaskOutput] | None = None,
    ) -> JobResponse:
        """Upload a file as a job of any task; see `ComputeClient.submit_job`."""

    @overload
    def plugin(self, plugin: str) -> BasePluginClient[TaskOutput, TaskParams]: ...
    @overload
    def plugin(self, plugin: Callable[[PluginClients], PluginT]) -> PluginT: ...
    def plugin(
        self, plugin: str | Callable[[PluginClients], PluginT]
    ) -> BasePluginClient[TaskOutput, TaskParams] | PluginT:
        """The client of any plugin, also of one that another package brings.

        Args:
            plugin: The plugin's task, one of this library's or one registered in the entry point group
                ``cl_client.plugins``; or, for a typed result, the plugin's client class itself.

        Returns:
            The same object each time.

        Raises:
            UnknownTaskError: There is no such plugin.
            ConfigurationError: The plugin of another package cannot be loaded.
        """
        if isinstance(plugin, str):
            from cl_client.plugins import plugin_class

            return self._made(plugin_class(plugin))
        return self._made(plugin)

    async def download_job_outputs(
        self,
        job: JobResponse,
        dest_dir: Path | str,
        *,
        concurrency: int | None = None,
        on_progress: Callable[[FilesProgress], None] | None = None,
        overwrite: bool = True,
    ) -> list[Path]:
        """Download everything that a completed job of its task is known to leave: all of it, or nothing.

        Files keep their folders: ``output/face_detection.json``, ``faces/face_0.png``.

        Args:
            job: The job, of any task.
            dest_dir: The folder, made if it is missing.
            concurrency: How many at a time, 1 to the config's ``pool_maxsize``; by default 8 or that.
            on_progress: Called with the state of the file that went on and of the whole.
            overwrite: Replace files that are there. Default True.

        Returns:
            Where the files are, the job's result first.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidResponseError: The server names a path that leads out of the job.
            JobFilesError: Some could not be downloaded; it names each of them.
            DestinationExistsError: A file is there, and ``overwrite`` is off; the folder is as it was.
        """
        files = await self.plugin(job.task_type).output_files(job)
        return await self.download_job_files(
            job.job_id,
            files,
            dest_dir,
            concurrency=concurrency,
            on_progress=on_progress,
            overwrite=overwrite,
        )

    @cached_property
    def _clients(self) -> dict[object, object]:
        return {}

    def _made(self, make: Callable[[PluginClients], PluginT]) -> PluginT:
        if make not in self._clients:
            self._clients[make] = make(self)
        return cast("PluginT", self._clients[make])

    @property
    def clip_embedding(self) -> ClipEmbeddingClient:
        """CLIP embeddings: what a picture shows."""
        from cl_client.plugins.clip_embedding import ClipEmbeddingClient

        return self._made(ClipEmbeddingClient)

    @property
    def dino_embedding(self) -> DinoEmbeddingClient:
        """DINO embeddings: how a picture looks."""
        from cl_client.plugins.dino_embedding import DinoEmbeddingClient

        return self._made(DinoEmbeddingClient)

    @property
    def exif(self) -> ExifClient:
        """Metadata of pictures."""
        from cl_client.plugins.exif import ExifClient

        return self._made(ExifClient)

    @property
    def face_detection(self) -> FaceDetectionClient:
        """Where faces are."""
        from cl_client.plugins.face_detection import FaceDetectionClient

        return self._made(FaceDetectionClient)

    @property
    def face_embedding(self) -> FaceEmbeddingClient:
        """Whose face it is."""
        from cl_client.plugins.face_embedding import FaceEmbeddingClient

        return self._made(FaceEmbeddingClient)

    @property
    def hash(self) -> HashClient:
        """Hashes of files."""
        from cl_client.plugins.hash import HashClient

        return self._made(HashClient)

    @property
    def hls_streaming(self) -> HlsStreamingClient:
        """Videos as HLS streams."""
        from cl_client.plugins.hls_streaming import HlsStreamingClient

        return self._made(HlsStreamingClient)

    @property
    def image_conversion(self) -> ImageConversionClient:
        """Pictures in other formats."""
        from cl_client.plugins.image_conversion import ImageConversionClient

        return self._made(ImageConversionClient)

    @property
    def media_thumbnail(self) -> MediaThumbnailClient:
        """Thumbnails of pictures and videos."""
        from cl_client.plugins.media_thumbnail import MediaThumbnailClient

        return self._made(MediaThumbnailClient)
