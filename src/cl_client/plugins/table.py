"""The table of built-in plugins, and the plugins that other packages register as entry points.

The table holds only names: a client class is imported on first use, and entry points are looked up only for a
task that is not in the table.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTRY_POINT_GROUP: Final = "cl_client.plugins"
"""An entry point's name is the task, its value ``module:Class`` of a `BasePluginClient`."""


class PluginSpec(NamedTuple):
    """The module and the class name of a plugin client."""

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


@cache
def third_party_plugins() -> Mapping[str, EntryPoint]:
    """Look up the plugins of other packages; the result is cached.

    Returns:
        The entry points by task.

    Raises:
        ConfigurationError: Two packages register the same task.
    """
    found = entry_points(group=ENTRY_POINT_GROUP)
    for task, count in Counter(point.name for point in found).items():
        if count > 1:
            packages = ", ".join(sorted(_package(point) for point in found if point.name == task))
            raise ConfigurationError(f"Several packages register the plugin {task!r}: {packages}")
    return {point.name: point for point in found}


def load_client(task_type: str) -> object | None:
    """Load the client class of a task from the table or from an entry point.

    Args:
        task_type: The task.

    Returns:
        The loaded object, unchecked; None for an unknown task.

    Raises:
        ConfigurationError: The plugin of another package cannot be loaded.
    """
    if (spec := PLUGINS.get(task_type)) is not None:
        return cast("object", getattr(import_module(spec.module), spec.client))
    if (point := third_party_plugins().get(task_type)) is None:
        return None
    try:
        return cast("object", point.load())
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"{origin_of(point)} cannot be loaded: {exc}") from exc


def origin_of(point: EntryPoint) -> str:
    """Describe an entry point for error messages.

    Args:
        point: The entry point of a plugin.

    Returns:
        Text with the plugin, its package and its target.
    """
    return f"The plugin {point.name!r} of {_package(point)} ({point.value})"


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"
