"""A video as HTTP Live Streaming playlists and segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, field_serializer

from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.plugins.base import BasePluginClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from cl_client.plugins.base import SubmitOptions
    from cl_client.transfers import FileSource


class HlsVariant(BaseModel):
    """One quality of the stream.

    Attributes:
        resolution: The picture's height in pixels.
        bitrate: kbit/s, at least 100.
    """

    model_config = ConfigDict(frozen=True)

    resolution: Annotated[int, Field(gt=0)]
    bitrate: Annotated[int, Field(ge=100)]


DEFAULT_VARIANTS = (HlsVariant(resolution=720, bitrate=3500), HlsVariant(resolution=480, bitrate=1500))

_VARIANTS = TypeAdapter(tuple[HlsVariant, ...])


def _parse_variants(variants: object) -> object:
    """The wire has one JSON text."""
    return _VARIANTS.validate_json(variants) if isinstance(variants, str) else variants


class HlsStreamingParams(TaskParams):
    """Which qualities to make, and whether the original is one of them."""

    variants: Annotated[tuple[HlsVariant, ...], BeforeValidator(_parse_variants), Field(min_length=1)] = (
        DEFAULT_VARIANTS
    )
    include_original: bool = False

    @field_serializer("variants")
    def _variants_to_json(self, variants: tuple[HlsVariant, ...]) -> str:
        return _VARIANTS.dump_json(variants).decode()


class HlsStreamingOutput(TaskOutput):
    """What was made; ``master_playlist`` may be an absolute path on the server."""

    master_playlist: str | None = None
    variants_generated: int | None = None
    total_segments: int | None = None
    include_original: bool | None = None


class HlsStreamingClient(BasePluginClient[HlsStreamingOutput]):
    """Turn videos into HLS streams."""

    task_type: ClassVar[str] = "hls_streaming"
    output_model: ClassVar[type[TaskOutput]] = HlsStreamingOutput

    async def generate_manifest(
        self,
        video: FileSource,
        *,
        variants: Sequence[HlsVariant] = DEFAULT_VARIANTS,
        include_original: bool = False,
        **options: Unpack[SubmitOptions[HlsStreamingOutput]],
    ) -> JobResponse[HlsStreamingOutput]:
        """Make playlists and segments of a video.

        Args:
            video: The video.
            variants: The qualities to make, at least one.
            include_original: Add the video in its own quality.
            **options: Common to all plugins, see `SubmitOptions`.
        """
        params = self.params(HlsStreamingParams, variants=tuple(variants), include_original=include_original)
        return await self.submit(video, params, **options)
