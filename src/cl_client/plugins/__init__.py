"""The plugin clients; each is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from cl_client._errors import ConfigurationError, UnknownTaskError
from cl_client.plugins.table import (
    ENTRY_POINT_GROUP,
    PLUGINS,
    Installed,
    PluginSpec,
    list_installed,
    load_client,
    origin_of,
    third_party_plugins,
)

if TYPE_CHECKING:
    from cl_client.models import TaskOutput, TaskParams
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
    "Installed",
    "MediaThumbnailClient",
    "PluginSpec",
    "installed_plugins",
    "plugin_class",
    "third_party_plugins",
]

_MODULE_OF = {spec.client: spec.module for spec in PLUGINS.values()} | {
    "BasePluginClient": "cl_client.plugins.base"
}


def plugin_class(task_type: str) -> type[BasePluginClient[TaskOutput, TaskParams]]:
    """Import the client class of a task. Built-in plugins take precedence.

    Args:
        task_type: The task.

    Returns:
        The client class.

    Raises:
        UnknownTaskError: There is no plugin for this task.
        ConfigurationError: The plugin of another package is invalid.
    """
    from cl_client.plugins.base import BasePluginClient

    loaded = load_client(task_type)
    if loaded is None:
        raise UnknownTaskError(task_type, (*PLUGINS, *third_party_plugins()))
    if task_type not in PLUGINS:
        origin = origin_of(third_party_plugins()[task_type])
        if not (isinstance(loaded, type) and issubclass(loaded, BasePluginClient)):
            raise ConfigurationError(f"{origin} is not a subclass of BasePluginClient")
        if loaded.task_type != task_type:
            raise ConfigurationError(f"{origin} has the task_type {loaded.task_type!r}, not {task_type!r}")
    return cast("type[BasePluginClient[TaskOutput, TaskParams]]", loaded)


def installed_plugins() -> list[Installed]:
    """List the plugins of other packages, also those that cannot be used.

    Returns:
        An item for each task and package.
    """

    def check(task: str) -> None:
        if task in PLUGINS:
            raise ConfigurationError(
                f"cl_client itself has a plugin {task!r}, which takes precedence: rename it"
            )
        plugin_class(task)

    return list_installed(ENTRY_POINT_GROUP, check)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'cl_client.plugins' has no attribute {name!r}")
    value = cast("object", getattr(import_module(_MODULE_OF[name]), name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_MODULE_OF]
