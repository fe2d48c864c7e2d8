"""The tasks that other packages register as entry points.

For a task that it offers, a server imports the `TaskSpec` and the class of the parameters. The function is
imported by a worker, for the first job of the task.
"""

from __future__ import annotations

import pkgutil
import re
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from cl_client._errors import ConfigurationError
from cl_client.local.tasks import TASKS, TaskSpec
from cl_client.models import TaskParams
from cl_client.plugins.table import (
    Installed,
    import_reason,
    list_installed,
    load_point,
    only_one,
    origin_of,
    package_of,
    registered,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP: Final = "cl_client.tasks"
"""An entry point's name is the task, its value ``module:NAME`` of a `TaskSpec`."""

_KIND: Final = "task"
_TASK_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Such names need no escaping in URLs and file names, and `cl-client` takes ``-`` for ``_``."""
_TARGET: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class ThirdPartyTasks(NamedTuple):
    """The tasks of other packages, for one server.

    Attributes:
        names: All that are registered.
        specs: Those that can be offered, by name.
        unfit: Why others cannot be offered, by name.
    """

    names: tuple[str, ...] = ()
    specs: Mapping[str, TaskSpec] = MappingProxyType({})
    unfit: Mapping[str, str] = MappingProxyType({})


def load_third_party_tasks(
    wanted: Sequence[str] | None, replaced: Collection[str], models: Collection[str]
) -> ThirdPartyTasks:
    """Load the tasks that other packages register.

    Args:
        wanted: The names of the tasks that the server is to offer; None for all.
        replaced: Tasks that are passed to the server, whatever packages register.
        models: The models whose files the server can find.

    Returns:
        The tasks. One that cannot be offered, and was not asked for by name, is in ``unfit``.

    Raises:
        ConfigurationError: A task in ``wanted`` cannot be offered.
    """
    names = tuple(task for task in registered(ENTRY_POINT_GROUP) if task not in replaced)
    if wanted is not None:
        return ThirdPartyTasks(
            names, {task: load_task(task) for task in wanted if task in names and task not in TASKS}
        )
    specs: dict[str, TaskSpec] = {}
    unfit: dict[str, str] = {}
    for task in names:
        try:
            spec = load_task(task)
            _check_models(task, spec, models)
        except ConfigurationError as exc:
            unfit[task] = str(exc)
        else:
            specs[task] = spec
    return ThirdPartyTasks(names, specs, unfit)


def load_task(task: str) -> TaskSpec:
    """Load and check the task of another package.

    Args:
        task: A task that is registered.

    Returns:
        The task.

    Raises:
        UnfitTaskError: It cannot be offered; the message names the package, the cause and the remedy.
        ConfigurationError: It cannot be loaded, or several packages register it.
    """
    point = only_one(registered(ENTRY_POINT_GROUP)[task], _KIND)
    if task in TASKS:
        raise UnfitTaskError(point, "has the name of a task that the server itself has", "rename it")
    if _TASK_NAME.fullmatch(task) is None:
        raise UnfitTaskError(point, "has an invalid name", "use letters, digits and _")
    loaded = load_point(point, _KIND)
    if not isinstance(loaded, TaskSpec):
        kind = type(loaded).__name__
        raise UnfitTaskError(point, f"is of type {kind}", "register a cl_client.local.TaskSpec")
    _check_params(point, loaded)
    _check_function(point, loaded)
    return loaded


def installed_tasks() -> list[Installed]:
    """List the tasks of other packages, also those that a server cannot offer.

    Returns:
        An item for each task and package.
    """
    return list_installed(ENTRY_POINT_GROUP, load_task)


class UnfitTaskError(ConfigurationError):
    """A task of another package cannot be offered."""

    def __init__(self, point: EntryPoint, problem: str, remedy: str = "repair or update the package") -> None:
        super().__init__(f"{origin_of(point, _KIND)} {problem}: {remedy}, or uninstall {package_of(point)}")


def _check_models(task: str, spec: TaskSpec, models: Collection[str]) -> None:
    if missing := [model for model in spec.models if model not in models]:
        (point,) = registered(ENTRY_POINT_GROUP)[task]
        words = f"needs the models {', '.join(missing)}"
        raise UnfitTaskError(point, words, "pass their files to LocalServer as models")


def _check_params(point: EntryPoint, spec: TaskSpec) -> None:
    """Import the class of the parameters, as the server does for each submit."""
    target = _checked_target(point, "params", spec.params)
    try:
        model = cast("object", pkgutil.resolve_name(target))
    except Exception as exc:
        raise UnfitTaskError(point, f"has params that cannot be loaded: {import_reason(exc)}") from exc
    if not (isinstance(model, type) and issubclass(model, TaskParams)):
        raise UnfitTaskError(point, f"has the params {target}", "name a subclass of TaskParams")


def _check_function(point: EntryPoint, spec: TaskSpec) -> None:
    """Look for the modules of the functions. They are not imported, as they may import large libraries."""
    for field, target in (("function", spec.function), ("function_a", spec.function_a or spec.function)):
        module = _checked_target(point, field, target).partition(":")[0]
        try:
            found = find_spec(module)
        except Exception as exc:
            raise UnfitTaskError(point, f"has a {field} that cannot be loaded: {import_reason(exc)}") from exc
        if found is None:
            raise UnfitTaskError(point, f"has a {field} that cannot be loaded: No module named {module!r}")


def _checked_target(point: EntryPoint, field: str, target: object) -> str:
    """Check a field's form; packages that are not type-checked pass the function or the class itself."""
    if not isinstance(target, str) or _TARGET.fullmatch(target) is None:
        raise UnfitTaskError(point, f"has the {field} {target!r}", 'write it as "module:name"')
    return target
