"""The nine plugin clients as properties, each imported and made on first access, then kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cl_client.models import JobResponse, TaskOutput
    from cl_client.plugins.base import SubmitOptions
    from cl_client.plugins.clip_embedding import ClipEmbeddingClient
    from cl_client.plugins.dino_embedding import DinoEmbeddingClient
    from cl_client.plugins.exif import ExifClient
    from cl_client.plugins.face_detection import FaceDetectionClient
    from cl_client.plugins.face_embedding import FaceEmbeddingClient
    from cl_client.plugins.hash import HashClient
    from cl_client.plugins.hls_streaming import HlsStreamingClient
    from cl_client.plugins.image_conversion import ImageConversionClient
    from cl_client.plugins.media_thumbnail import MediaThumbnailClient
    from cl_client.transfers import FileSource


class PluginClients(ABC):
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

    @cached_property
    def clip_embedding(self) -> ClipEmbeddingClient:
        """CLIP embeddings: what a picture shows."""
        from cl_client.plugins.clip_embedding import ClipEmbeddingClient

        return ClipEmbeddingClient(self)

    @cached_property
    def dino_embedding(self) -> DinoEmbeddingClient:
        """DINO embeddings: how a picture looks."""
        from cl_client.plugins.dino_embedding import DinoEmbeddingClient

        return DinoEmbeddingClient(self)

    @cached_property
    def exif(self) -> ExifClient:
        """Metadata of pictures."""
        from cl_client.plugins.exif import ExifClient

        return ExifClient(self)

    @cached_property
    def face_detection(self) -> FaceDetectionClient:
        """Where faces are."""
        from cl_client.plugins.face_detection import FaceDetectionClient

        return FaceDetectionClient(self)

    @cached_property
    def face_embedding(self) -> FaceEmbeddingClient:
        """Whose face it is."""
        from cl_client.plugins.face_embedding import FaceEmbeddingClient

        return FaceEmbeddingClient(self)

    @cached_property
    def hash(self) -> HashClient:
        """Hashes of files."""
        from cl_client.plugins.hash import HashClient

        return HashClient(self)

    @cached_property
    def hls_streaming(self) -> HlsStreamingClient:
        """Videos as HLS streams."""
        from cl_client.plugins.hls_streaming import HlsStreamingClient

        return HlsStreamingClient(self)

    @cached_property
    def image_conversion(self) -> ImageConversionClient:
        """Pictures in other formats."""
        from cl_client.plugins.image_conversion import ImageConversionClient

        return ImageConversionClient(self)

    @cached_property
    def media_thumbnail(self) -> MediaThumbnailClient:
        """Thumbnails of pictures and videos."""
        from cl_client.plugins.media_thumbnail import MediaThumbnailClient

        return MediaThumbnailClient(self)
