"""All plugins: one table of this library's own, and those that other packages register as entry points.

Each is imported when it is first needed; entry points are looked up when a task is asked for that the table
does not have.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from cl_client.exceptions import ConfigurationError, UnknownTaskError
from cl_client.models import TaskOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cl_client.models import TaskParams
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

__all__ = [
    "ENTRY_POINT_GROUP",
    "PLUGINS",
    "BasePluginClient",
    "ClipEmbeddingClient",
    "DinoEmbeddingClient",
    "ExifClient",
    "FaceDetectionClient",
    "FaceEmbeddingClient",
    "HashClient",
    "HlsStreamingClient",
    "ImageConversionClient",
    "MediaThumbnailClient",
    "PluginSpec",
    "output_model",
    "plugin_class",
    "third_party_plugins",
]

ENTRY_POINT_GROUP: Final = "cl_client.plugins"
"""An entry point's name is the task, its value ``module:Class`` of a `BasePluginClient`."""


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


def __getattr__(name: str) -> object:
    module = {spec.client: spec.module for spec in PLUGINS.values()}.get(name)
    if name == "BasePluginClient":
        module = "cl_client.plugins.base"
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = cast("object", getattr(import_module(module), name))
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]


@cache
def third_party_plugins() -> Mapping[str, EntryPoint]:
    """The plugins of other packages by task, looked up once.

    Raises:
        ConfigurationError: Two packages register the same task.
    """
    found = entry_points(group=ENTRY_POINT_GROUP)
    for task, count in Counter(point.name for point in found).items():
        if count > 1:
            packages = ", ".join(sorted(_package(point) for point in found if point.name == task))
            raise ConfigurationError(f"Several packages register the plugin {task!r}: {packages}")
    return {point.name: point for point in found}


def plugin_class(task_type: str) -> type[BasePluginClient[TaskOutput, TaskParams]]:
    """The client class of a task, imported on demand; this library's own ones win.

    Raises:
        UnknownTaskError: There is no such plugin.
        ConfigurationError: It belongs to another package and cannot be loaded.
    """
    if (spec := PLUGINS.get(task_type)) is not None:
        loaded = cast("object", getattr(import_module(spec.module), spec.client))
    elif (point := third_party_plugins().get(task_type)) is not None:
        loaded = _load(point)
    else:
        raise UnknownTaskError(task_type, (*PLUGINS, *third_party_plugins()))
    return cast("type[BasePluginClient[TaskOutput, TaskParams]]", loaded)


def output_model(task_type: str) -> type[TaskOutput]:
    """The output model of a task; the untyped base for a task that no plugin knows."""
    known = task_type in PLUGINS or task_type in third_party_plugins()
    return plugin_class(task_type).output_model if known else TaskOutput


def _load(point: EntryPoint) -> type:
    from cl_client.plugins.base import BasePluginClient

    origin = f"The plugin {point.name!r} of {_package(point)} ({point.value})"
    try:
        loaded = cast("object", point.load())
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"{origin} cannot be loaded: {exc}") from exc
    if not (isinstance(loaded, type) and issubclass(loaded, BasePluginClient)):
        raise ConfigurationError(f"{origin} is not a subclass of BasePluginClient")
    if loaded.task_type != point.name:
        raise ConfigurationError(f"{origin} says that its task is {loaded.task_type!r}")
    return cast("type", loaded)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"
