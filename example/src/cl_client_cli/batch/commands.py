"""The commands `cl-client batch ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import App, Parameter

from cl_client_cli.frame.options import (
    DEFAULT_BATCH,
    DEFAULT_INPUTS,
    DEFAULT_OUTPUT,
    BatchOptions,
    Flag,
    InputOptions,
    OutputDir,
    OutputOptions,
)
from cl_client_cli.tasks.file_arguments import FileArgument  # noqa: TC001 - read at run time, to parse arguments

batch_app = App(
    name="batch",
    help="Run many jobs as a batch that can be resumed.\n\nExample: `cl-client batch submit photos/ -t exif`",
)

_DEFAULT_FOLDER = Path("cl-client-batch")
TaskName: TypeAlias = Literal[
    "clip-embedding",
    "dino-embedding",
    "exif",
    "face-detection",
    "face-embedding",
    "hash",
    "hls-streaming",
    "image-conversion",
    "media-thumbnail",
]
"""What shells complete; names with underscores are valid too."""
_Tasks = Annotated[
    tuple[TaskName | str, ...], Parameter(alias="-t", negative_iterable=(), show_default=False)
]
_Texts = Annotated[tuple[str, ...], Parameter(negative_iterable=(), show_default=False)]


@batch_app.command
def submit(
    *inputs: FileArgument,
    task: _Tasks = (),
    param: _Texts = (),
    output_dir: OutputDir = _DEFAULT_FOLDER,
    search: InputOptions = DEFAULT_INPUTS,
    options: BatchOptions = DEFAULT_BATCH,
) -> int:
    """Run tasks on many files, or the jobs of a specification; an interrupted batch can be resumed.

    A specification is a list of jobs with input, task, params and output, as a .json, .yaml or .csv file.
    Finished jobs are not repeated: files with the same content and parameters are processed once. A file that
    has changed since then is processed again.

    Example: `cl-client batch submit photos/ -r --task exif --task media-thumbnail --report report.html`

    Args:
        inputs: One specification; or files, patterns such as '*.jpg', folders, @list.txt.
        task: Task to run on every suitable file; can be repeated.
        param: Parameter of a task, as TASK.NAME=VALUE; can be repeated.
        output_dir: Folder of the results and of the batch's manifest.
        search: How inputs are found.
        options: The options that `submit` and `resume` share.

    Returns:
        The exit code.
    """
    from cl_client_cli.batch.lifecycle import submit_batch

    texts = [*map(str, inputs)]
    return submit_batch(texts, task, param, output_dir, options, search=search)


@batch_app.command
def resume(
    output_dir: OutputDir = _DEFAULT_FOLDER,
    *,
    retry_failed: Flag = False,
    options: BatchOptions = DEFAULT_BATCH,
) -> int:
    """Continue a batch that was interrupted or killed, or that lost its server.

    Example: `cl-client batch resume cl-client-batch`

    Args:
        output_dir: Folder of the results.
        retry_failed: Retry failed jobs too, also those with a permanent error.
        options: The options that `submit` and `resume` share.

    Returns:
        The exit code.
    """
    from cl_client_cli.batch.lifecycle import resume_batch

    return resume_batch(output_dir, options, retry_failed=retry_failed)


@batch_app.command
def status(output_dir: OutputDir = _DEFAULT_FOLDER, *, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Show the progress of a batch and its failures, also while it runs.

    Example: `cl-client batch status cl-client-batch --json`

    Args:
        output_dir: Folder of the results.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.batch.status import show_status

    return show_status(output_dir, output)


@batch_app.command
def report(
    output_dir: OutputDir = _DEFAULT_FOLDER,
    page: Path | None = None,
    *,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write an HTML report of everything that a batch has done so far; it needs no server.

    Example: `cl-client batch report cl-client-batch report.html`

    Args:
        output_dir: Folder of the results.
        page: File to write the report to; by default report.html in the folder of the results.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.batch.report import report_batch

    return report_batch(output_dir, page, output)
