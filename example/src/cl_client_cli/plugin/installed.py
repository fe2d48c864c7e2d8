"""The work of `cl-client plugin list`: the tasks that installed packages bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cl_client.local import installed_tasks
from cl_client.plugins import installed_plugins
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.terminal import Terminal

if TYPE_CHECKING:
    from cl_client_cli.frame.options import OutputOptions


def list_installed(output: OutputOptions) -> int:
    """Show the plugins and tasks of other packages.

    Args:
        output: How results are printed.

    Returns:
        The exit code: 1 if any of them cannot be used.
    """
    terminal = Terminal.make(output)
    table = Table("Task", "Package", "Brings", "State")
    found = [("client plugin", it) for it in installed_plugins()] + [
        ("server task", it) for it in installed_tasks()
    ]
    for brings, (task, package, problem) in sorted(found, key=lambda pair: pair[1].task):
        terminal.record({"task": task, "package": package, "brings": brings, "problem": problem})
        table.add_row(Text(task), Text(package), brings, Text(problem, style="red") if problem else "ready")
    if found:
        terminal.result(table)
    else:
        terminal.say("No installed package brings a task; cl-client plugin new my_task creates one.")
    return SOME_FAILED if any(it.problem for _, it in found) else 0
