"""The plugin clients, each imported and created on first access, then cached."""

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
    """The plugin clients of a `ComputeClient`: one property per plugin."""

    @abstractmethod
    async def submit_job(
        self,
        task_type: str,
        source: FileSource,
        fields: Mapping[str, str],
        options: SubmitOptions[TaskOutput] | None = None,
    ) -> JobResponse:
        """Upload a file as a job of any task.

        Args:
            task_type: The task.
            source: The file.
            fields: Form fields of the request.
            options: See `SubmitOptions`; None for the defaults.

        Returns:
            The job; see `ComputeClient.submit_job`.
        """

    @overload
    def plugin(self, plugin: str) -> BasePluginClient[TaskOutput, TaskParams]: ...
    @overload
    def plugin(self, plugin: Callable[[PluginClients], PluginT]) -> PluginT: ...
    def plugin(
        self, plugin: str | Callable[[PluginClients], PluginT]
    ) -> BasePluginClient[TaskOutput, TaskParams] | PluginT:
        """Get the client of any plugin, also of a plugin from another package.

        Args:
            plugin: The task of the plugin: a built-in one, or one registered in the entry point group
                ``cl_client.plugins``; or, for a typed result, the plugin's client class itself.

        Returns:
            The plugin client, the same object each time.

        Raises:
            UnknownTaskError: There is no plugin for this task.
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
        """Download all output files of a completed job: all of them, or none.

        Files keep their folders: ``output/face_detection.json``, ``faces/face_0.png``.

        Args:
            job: The job, of any task.
            dest_dir: The destination folder, created if missing.
            concurrency: Maximum number of files at the same time, 1 to the config's ``pool_maxsize``. Default
                8, or ``pool_maxsize`` if that is less.
            on_progress: Called with the progress of the current file and of all files.
            overwrite: Replace existing files. Default True.

        Returns:
            The paths of the files, the main result first.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidResponseError: The server gives a path outside the job.
            JobFilesError: Some files could not be downloaded; the message names them.
            DestinationExistsError: A file exists and ``overwrite`` is False; the folder is unchanged.
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
        """CLIP embeddings: what an image shows."""
        from cl_client.plugins.clip_embedding import ClipEmbeddingClient

        return self._made(ClipEmbeddingClient)

    @property
    def dino_embedding(self) -> DinoEmbeddingClient:
        """DINO embeddings: how an image looks."""
        from cl_client.plugins.dino_embedding import DinoEmbeddingClient

        return self._made(DinoEmbeddingClient)

    @property
    def exif(self) -> ExifClient:
        """EXIF and other metadata of images and videos."""
        from cl_client.plugins.exif import ExifClient

        return self._made(ExifClient)

    @property
    def face_detection(self) -> FaceDetectionClient:
        """Detection of faces."""
        from cl_client.plugins.face_detection import FaceDetectionClient

        return self._made(FaceDetectionClient)

    @property
    def face_embedding(self) -> FaceEmbeddingClient:
        """Face embeddings: whose face it is."""
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
        """Conversion of images to other formats."""
        from cl_client.plugins.image_conversion import ImageConversionClient

        return self._made(ImageConversionClient)

    @property
    def media_thumbnail(self) -> MediaThumbnailClient:
        """Thumbnails of images and videos."""
        from cl_client.plugins.media_thumbnail import MediaThumbnailClient

        return self._made(MediaThumbnailClient)
