"""The work of `cl-client task run`: the task's name and parameters, then the work of every task command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.exceptions import ConfigurationError
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.run import run_plugin
from cl_client_cli.tasks.task_params import task_params

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client_cli.frame.options import RunOptions


def run_other_task(task: str, files: Sequence[str], params: Sequence[str], options: RunOptions) -> int:
    """Run a task by its name.

    Args:
        task: The name of the task, with ``-`` or ``_``.
        files: The command's arguments; see `find_inputs`.
        params: The parameters, as ``NAME=VALUE``.
        options: The options of the command.

    Returns:
        The exit code.

    Raises:
        UsageError: An argument or an option is invalid, or the installed plugin of the task is broken.
    """
    name = task.replace("-", "_")
    if not name.isidentifier():
        raise UsageError(f"{task}: not the name of a task, such as media_thumbnail")
    try:
        values = _parse_params(params)
        task_params(name, values, by_name=True)
        return run_plugin(name, files, values, options)
    except ConfigurationError as exc:
        raise UsageError(str(exc)) from exc


def _parse_params(params: Sequence[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for text in params:
        path, mark, value = text.partition("=")
        name = path.replace("-", "_")
        if not mark or not name.isidentifier():
            raise UsageError(f"--param {text}: must be NAME=VALUE, such as strength=3")
        if name in values:
            raise UsageError(f"--param {text}: {name} is given twice")
        values[name] = value
    return values
