"""The work of `cl-client plugin list`: the tasks that installed packages bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cl_client.exceptions import ConfigurationError
from cl_client.local.tasks import third_party
from cl_client.plugins import ENTRY_POINT_GROUP, PLUGINS, plugin_class
from cl_client.plugins.table import package_of, registered
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client_cli.frame.options import OutputOptions


def _load_plugin(task: str) -> object:
    if task in PLUGINS:
        raise ConfigurationError(
            f"cl_client itself has a plugin {task!r}, which takes precedence: rename this one"
        )
    return plugin_class(task)


_CHECKS: Final[dict[str, tuple[str, Callable[[str], object]]]] = {
    "plugin": (ENTRY_POINT_GROUP, _load_plugin),
    "task": (third_party.ENTRY_POINT_GROUP, third_party.load_task),
}


def list_installed(output: OutputOptions) -> int:
    """Show the plugins and tasks of other packages.

    Args:
        output: How results are printed.

    Returns:
        The exit code: 1 if any of them cannot be used.
    """
    terminal = Terminal.make(output)
    table = Table("Task", "Package", "Brings", "State")
    states = [
        (task, package, kind, _problem(check, task))
        for kind, (group, check) in _CHECKS.items()
        for task, points in registered(group).items()
        for package in map(package_of, points)
    ]
    for task, package, kind, problem in sorted(states):
        terminal.record({"task": task, "package": package, "brings": kind, "problem": problem or None})
        brings = "client plugin" if kind == "plugin" else "server task"
        table.add_row(Text(task), Text(package), brings, Text(problem, style="red") if problem else "ready")
    if states:
        terminal.result(table)
    else:
        terminal.say("No installed package brings a task; cl-client plugin new my_task creates one.")
    return SOME_FAILED if any(problem for *_, problem in states) else 0


def _problem(check: Callable[[str], object], task: str) -> str:
    try:
        check(task)
    except ConfigurationError as exc:
        return str(exc)
    return ""
