"""The command `cl-client task run`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from cl_client_cli.frame.options import DEFAULT_RUN, RunOptions
from cl_client_cli.tasks.file_arguments import FileArgument

task_app = App(
    name="task",
    help="Run any task, also of another package.\n\n"
    "Example: `cl-client task run my_task photo.jpg --param strength=3`",
)

_Files = Annotated[
    FileArgument,
    Parameter(help="Files, patterns such as '*.jpg', folders, @list.txt with one name per line, or -."),
]


@task_app.command
def run(
    task: str,
    /,
    *files: _Files,
    param: Annotated[tuple[str, ...], Parameter(negative_iterable=(), show_default=False)] = (),
    options: RunOptions = DEFAULT_RUN,
) -> int:
    """Run a task of the server by its name, for instance one of your own.

    If a package with a plugin for the task is installed, the parameters are checked before anything is sent.
    If the plugin says that the result is a file, it is saved, by default in the current folder. Otherwise the
    output is printed; with --output-dir it is saved as JSON.

    Example: `cl-client task run my_task photo.jpg --param strength=3`

    Args:
        task: Name of the task.
        files: The files.
        param: Parameter of the task, as NAME=VALUE; can be repeated.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    from cl_client_cli.tasks.other_task_run import run_other_task

    return run_other_task(task, [*map(str, files)], param, options)
