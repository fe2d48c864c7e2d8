"""The nine plugins: one table that says where each lives, each imported when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

from cl_client.exceptions import UnknownTaskError
from cl_client.models import TaskOutput

if TYPE_CHECKING:
    from cl_client.plugins.base import BasePluginClient


class PluginSpec(NamedTuple):
    """Where a plugin client is found."""

    module: str
    client: str


PLUGINS: dict[str, PluginSpec] = {
    "clip_embedding": PluginSpec("cl_client.plugins.clip_embedding", "ClipEmbeddingClient"),
    "dino_embedding": PluginSpec("cl_client.plugins.dino_embedding", "DinoEmbeddingClient"),
    "exif": PluginSpec("cl_client.plugins.exif", "ExifClient"),
    "face_detection": PluginSpec("cl_client.plugins.face_detection", "FaceDetectionClient"),
    "face_embedding": PluginSpec("cl_client.plugins.face_embedding", "FaceEmbeddingClient"),
    "hash": PluginSpec("cl_client.plugins.hash", "HashClient"),
    "hls_streaming": PluginSpec("cl_client.plugins.hls_streaming", "HlsStreamingClient"),
    "image_conversion": PluginSpec("cl_client.plugins.image_conversion", "ImageConversionClient"),
    "media_thumbnail": PluginSpec("cl_client.plugins.media_thumbnail", "MediaThumbnailClient"),
}


def plugin_class(task_type: str) -> type[BasePluginClient[TaskOutput]]:
    """The client class of a task, imported on demand.

    Raises:
        UnknownTaskError: There is no such plugin.
    """
    try:
        spec = PLUGINS[task_type]
    except KeyError:
        raise UnknownTaskError(task_type, tuple(PLUGINS)) from None
    module = import_module(spec.module)
    return cast("type[BasePluginClient[TaskOutput]]", getattr(module, spec.client))


def output_model(task_type: str) -> type[TaskOutput]:
    """The output model of a task; the untyped base for a task that no plugin here knows."""
    return plugin_class(task_type).output_model if task_type in PLUGINS else TaskOutput
