"""The commands `cl-client plugin ...`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read at run time, to parse arguments

from cyclopts import App

from cl_client_cli.frame.options import DEFAULT_OUTPUT, OutputOptions

plugin_app = App(
    name="plugin",
    help="Create and show packages with tasks of their own.\n\nExample: `cl-client plugin new my_task`",
)


@plugin_app.command
def new(task: str, *, dir: Path | None = None, output: OutputOptions = DEFAULT_OUTPUT) -> int:  # noqa: A002 - the option's name
    """Create a package with a task: its client plugin, what a server runs, and tests that pass.

    Example: `cl-client plugin new my_task`

    Args:
        task: Name of the task, such as my_task.
        dir: Folder of the package; by default a new folder named after the task, such as ./my-task.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.plugin.new_package import create_package

    return create_package(task, dir, output)


@plugin_app.command(name="list")
def list_(*, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Show the tasks of other packages that are installed, and what is wrong with them.

    The exit code is 1 if any of them cannot be used.

    Example: `cl-client plugin list`

    Args:
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.plugin.installed import list_installed

    return list_installed(output)
