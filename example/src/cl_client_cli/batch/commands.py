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
    help="Many jobs at once, which can be resumed.\n\nExample: `cl-client batch submit photos/ -t exif`",
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
"""What shells complete; other spellings are understood too."""
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
    """Run tasks on many files, or what a specification says; go on later with whatever is left.

    A specification is a list of jobs with input, task, params and output, as .json, .yaml or .csv. What was
    done is not repeated: files count as the same if their content and the parameters are. A file that has
    changed since is run again.

    Example: `cl-client batch submit photos/ -r --task exif --task media-thumbnail --report report.html`

    Args:
        inputs: One specification; or files, patterns such as '*.jpg', folders, @list.txt.
        task: A task to run on every file that suits it, as often as wanted.
        param: A parameter, TASK.NAME=VALUE, as often as wanted.
        output_dir: The folder of the results, and of the batch's own record.
        search: How inputs are found.
        options: Common to submit and resume.
    """
    from cl_client_cli.batch.lifecycle import submit_batch

    texts = [*map(str, inputs)]
    return submit_batch(texts, task, param, output_dir, options, recursive=search.recursive)


@batch_app.command
def resume(
    output_dir: OutputDir = _DEFAULT_FOLDER,
    *,
    retry_failed: Flag = False,
    options: BatchOptions = DEFAULT_BATCH,
) -> int:
    """Go on with a batch that was interrupted, killed, or left without its server.

    Example: `cl-client batch resume cl-client-batch`

    Args:
        output_dir: The folder of the results.
        retry_failed: Retry jobs that failed for good, too.
        options: Common to submit and resume.
    """
    from cl_client_cli.batch.lifecycle import resume_batch

    return resume_batch(output_dir, options, retry_failed=retry_failed)


@batch_app.command
def status(output_dir: OutputDir = _DEFAULT_FOLDER, *, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Show how far a batch is, what has failed, and why; also while it runs.

    Example: `cl-client batch status cl-client-batch --json`

    Args:
        output_dir: The folder of the results.
        output: How results are told.
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
    """Write a page with all that a batch has done so far, to be opened in a browser; no server is needed.

    Example: `cl-client batch report cl-client-batch report.html`

    Args:
        output_dir: The folder of the results.
        page: The page's file; by default report.html in that folder.
        output: How results are told.
    """
    from cl_client_cli.batch.report import report_batch

    return report_batch(output_dir, page, output)
