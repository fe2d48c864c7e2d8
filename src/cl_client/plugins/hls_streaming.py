"""Conversion of videos to HTTP Live Streaming (HLS) playlists and segments."""

from __future__ import annotations

import posixpath
import re
from itertools import chain
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, field_serializer
from typing_extensions import override

from cl_client._core.lenient import OrElse
from cl_client._errors import InvalidParameterError, InvalidResponseError
from cl_client._transfers.job_paths import checked_path
from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.options import ServerPath
from cl_client.plugins.base import BasePluginClient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typing_extensions import Unpack

    from cl_client.options import FileSource, SubmitOptions


class HlsVariant(BaseModel):
    """One quality level of the stream.

    Attributes:
        resolution: Height of the video in pixels, above 0.
        bitrate: Bit rate in kbit/s, at least 100.
    """

    model_config = ConfigDict(frozen=True)

    resolution: Annotated[int, Field(gt=0)]
    bitrate: Annotated[int, Field(ge=100)]


DEFAULT_VARIANTS = (HlsVariant(resolution=720, bitrate=3500), HlsVariant(resolution=480, bitrate=1500))

_PLAYLIST_SUFFIX: Final = ".m3u8"
_MAX_PLAYLIST_BYTES: Final = 4 * 1024**2
"""Enough for tens of thousands of segments."""
_VARIANTS = TypeAdapter(tuple[HlsVariant, ...])


def _parse_variants(variants: object) -> object:
    """Accept the JSON text that servers send."""
    return _VARIANTS.validate_json(variants) if isinstance(variants, str) else variants


class HlsStreamingParams(TaskParams):
    """The quality levels to make, and whether to add the original."""

    variants: Annotated[tuple[HlsVariant, ...], BeforeValidator(_parse_variants), Field(min_length=1)] = (
        DEFAULT_VARIANTS
    )
    include_original: bool = False

    @field_serializer("variants")
    def _variants_to_json(self, variants: tuple[HlsVariant, ...]) -> str:
        return _VARIANTS.dump_json(variants).decode()


class _ElsewhereParams(HlsStreamingParams):
    """Parameters of a stream that a CL Server writes outside of the job."""

    output_absolute_path: str


class HlsStreamingOutput(TaskOutput):
    """The output of the task.

    Attributes:
        master_playlist: The path of the master playlist, on real servers an absolute one on their disk; the
            client's methods for files take it as it is.
        variants_generated: The number of quality levels.
        total_segments: The number of their segments, without those of the original.
        include_original: Whether the original was added.
    """

    master_playlist: Annotated[str | None, OrElse(None)] = None
    variants_generated: Annotated[int | None, OrElse(None)] = None
    total_segments: Annotated[int | None, OrElse(None)] = None
    include_original: Annotated[bool | None, OrElse(None)] = None


class HlsStreamingClient(BasePluginClient[HlsStreamingOutput, HlsStreamingParams]):
    """The client for HLS streams."""

    task_type: ClassVar[str] = "hls_streaming"

    async def generate_manifest(
        self,
        video: FileSource,
        *,
        variants: Sequence[HlsVariant] = DEFAULT_VARIANTS,
        include_original: bool = False,
        output_dir: str | None = None,
        **options: Unpack[SubmitOptions[HlsStreamingOutput]],
    ) -> JobResponse[HlsStreamingOutput]:
        """Convert a video to HLS playlists and segments.

        Args:
            video: The video file.
            variants: The quality levels to make, at least one; default 720p and 480p.
            include_original: Also add the video in its original quality. Default False.
            output_dir: The folder on a CL Server's own disk for the stream, an absolute path; required there
                if ``video`` is a `ServerPath`. The stream cannot be downloaded then. Local servers refuse it.
            **options: Common to all plugins, see `SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.

        Raises:
            InvalidParameterError: A parameter or an option is invalid; nothing was sent.
            ComputeClientError: See `ComputeClient.submit_job`.
        """
        values = {"variants": tuple(variants), "include_original": include_original}
        if output_dir is None:
            return await self.submit(video, self.params(HlsStreamingParams, **values), **options)
        if not isinstance(video, ServerPath):
            raise InvalidParameterError(f"{self.task_type}: output_dir needs a video that is a ServerPath")
        folder = ServerPath(output_dir).path
        params = self.params(_ElsewhereParams, **values, output_absolute_path=folder)
        return await self.submit(video, params, **options)

    async def download(self, job: JobResponse, dest_dir: Path | str) -> Path:
        """Download the complete stream of a completed job: all files, or none.

        The files are the master playlist, the playlists listed in it, the playlist of the original if it was
        requested (the master does not list it), and the segments that they list. Real servers list only the
        last five segments of the original.

        Args:
            job: The job.
            dest_dir: The destination folder, created if missing; existing files are replaced.

        Returns:
            The path of the master playlist, the file to open in a player.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            JobFilesError: Some files could not be downloaded; the message names them.
            JobFileNotFoundError: A playlist was not found.
            InvalidResponseError: A playlist is invalid, or lists a file outside its folder.
        """
        files = await self.output_files(job)
        folder = posixpath.dirname(files[0])
        placed = await self._client.download_job_files(job.job_id, files, dest_dir, relative_to=folder)
        return placed[0]

    @override
    async def output_files(self, job: JobResponse) -> list[str]:
        master = self.master_path(job)
        playlists = await self._named_in(job, master)
        if self.output(job).include_original:
            playlists.append(f"{master.removesuffix(_PLAYLIST_SUFFIX)}-orig{_PLAYLIST_SUFFIX}")
        segments = [await self._named_in(job, playlist) for playlist in playlists]
        return [master, *playlists, *chain.from_iterable(segments)]

    def master_path(self, job: JobResponse) -> str:
        """Get the path of the master playlist of a completed job.

        Args:
            job: The job.

        Returns:
            The path relative to the job.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidResponseError: The server gives no path, or a path outside the job.
        """
        named = self.output(job).master_playlist
        return (
            self.checked_path(job, named) if named else f"{self.output_path(job)}/adaptive{_PLAYLIST_SUFFIX}"
        )

    async def _named_in(self, job: JobResponse, playlist: str) -> list[str]:
        """The files that a playlist lists, relative to the job, without duplicates."""
        content = await self._client.read_job_file(job.job_id, playlist, max_bytes=_MAX_PLAYLIST_BYTES)
        try:
            named = _uris(content.decode("utf-8-sig"))
            paths = [posixpath.join(posixpath.dirname(playlist), checked_path(uri)) for uri in named]
        except ValueError as exc:
            raise InvalidResponseError(f"Job {job.job_id}: {playlist}: {exc}") from exc
        return list(dict.fromkeys(paths))


def _uris(playlist: str) -> list[str]:
    """The lines of a playlist that are not blank, tags or comments (RFC 8216, 4.1)."""
    first, *lines = (line.strip() for line in re.split(r"\r?\n", playlist))
    if first != "#EXTM3U":
        raise ValueError("not an HLS playlist (no #EXTM3U in the first line)")
    uris = [line for line in lines if line and not line.startswith("#")]
    if not uris:
        raise ValueError("the playlist is empty")
    return uris
