"""The table of built-in plugins, and the plugins that other packages register as entry points.

The table holds only names: a client class is imported on first use, and entry points are looked up only for a
task that is not in the table.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ENTRY_POINT_GROUP: Final = "cl_client.plugins"
"""An entry point's name is the task, its value ``module:Class`` of a `BasePluginClient`."""


class PluginSpec(NamedTuple):
    """The module and the class name of a plugin client."""

    module: str
    client: str


class Installed(NamedTuple):
    """What an installed package registers for a task.

    Attributes:
        task: The name of the task.
        package: The name of the package.
        problem: Why it cannot be used, with the remedy; None if it can.
    """

    task: str
    package: str
    problem: str | None


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
def registered(group: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Look up what other packages register in a group of entry points; the result is cached.

    Args:
        group: The group.

    Returns:
        The entry points by name: by task, for the groups of this library.
    """
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=group):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def only_one(points: Sequence[EntryPoint], what: str) -> EntryPoint:
    """Return the entry point of a task, if no other package registers the same.

    Args:
        points: The entry points of one task.
        what: What they register, for the message.

    Returns:
        The only entry point.

    Raises:
        ConfigurationError: Several packages register the task.
    """
    if len(points) > 1:
        packages = ", ".join(sorted(map(package_of, points)))
        raise ConfigurationError(
            f"Several packages register the {what} {points[0].name!r}: {packages}; uninstall all but one"
        )
    return points[0]


def load_point(point: EntryPoint, what: str) -> object:
    """Import what an entry point names.

    Args:
        point: The entry point.
        what: What it registers, for the message.

    Returns:
        The loaded object, unchecked.

    Raises:
        ConfigurationError: It cannot be imported.
    """
    try:
        return cast("object", point.load())
    except Exception as exc:  # the module of another package may raise anything
        raise ConfigurationError(
            f"{origin_of(point, what)} cannot be loaded: {import_reason(exc)}: "
            f"repair, update or uninstall {package_of(point)}"
        ) from exc


def list_installed(group: str, check: Callable[[str], object]) -> list[Installed]:
    """List what other packages register in a group.

    Args:
        group: The group.
        check: Called with each task; raises ConfigurationError if it cannot be used.

    Returns:
        An item for each task and package, by name.
    """
    found: list[Installed] = []
    for task, points in registered(group).items():
        try:
            check(task)
            problem = None
        except ConfigurationError as exc:
            problem = str(exc)
        found += [Installed(task, package_of(point), problem) for point in points]
    return sorted(found)


def import_reason(error: Exception) -> str:
    """Describe an error of an import: its message, with its type if that says nothing by itself.

    Args:
        error: The error.

    Returns:
        The description.
    """
    is_plain = isinstance(error, (ImportError, AttributeError))
    return str(error) if is_plain else f"{type(error).__name__}: {error}"


def third_party_plugin(task_type: str) -> EntryPoint | None:
    """Look up the plugin of another package.

    Args:
        task_type: The task.

    Returns:
        Its entry point; None if no package registers one.

    Raises:
        ConfigurationError: Several packages register the task.
    """
    points = registered(ENTRY_POINT_GROUP).get(task_type)
    return None if points is None else only_one(points, "plugin")


def third_party_plugins() -> Mapping[str, EntryPoint]:
    """Look up the plugins of other packages.

    Returns:
        The entry points by task, without tasks that several packages register.
    """
    return {task: points[0] for task, points in registered(ENTRY_POINT_GROUP).items() if len(points) == 1}


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
    point = third_party_plugin(task_type)
    return None if point is None else load_point(point, "plugin")


def origin_of(point: EntryPoint, what: str = "plugin") -> str:
    """Describe an entry point for error messages.

    Args:
        point: The entry point.
        what: What it registers.

    Returns:
        Text with the task, the package and the target.
    """
    return f"The {what} {point.name!r} of {package_of(point)} ({point.value})"


def package_of(point: EntryPoint) -> str:
    """Name the package that registers an entry point.

    Args:
        point: The entry point.

    Returns:
        The name of the distribution.
    """
    return point.dist.name if point.dist is not None else "an unknown package"
