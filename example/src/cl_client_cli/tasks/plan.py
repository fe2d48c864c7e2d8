"""Plans the jobs of a task command: finds and checks everything before anything is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client import MAX_PRIORITY
from cl_client_cli.frame.outages import check_give_up_after
from cl_client_cli.frame.places import check_file, check_folder
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.inputs import STANDARD_INPUT, FoundInputs, InputSearch, display_name, find_inputs
from cl_client_cli.tasks.job_outcome import JobRequest
from cl_client_cli.tasks.known_results import ANNOTATED_SUFFIX
from cl_client_cli.tasks.media_kinds import SUFFIXES, suffixes_for
from cl_client_cli.tasks.result_names import ResultNames, is_result_of_other, is_up_to_date
from cl_client_cli.tasks.stream_folder import check_stream_folder
from cl_client_cli.tasks.table import result_suffix, task_kind
from cl_client_cli.tasks.task_params import task_params

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cl_client_cli.frame.options import ConnectionOptions, JobOptions, RunOptions
    from cl_client_cli.jobs.ledger import Ledger

_MAX_CONCURRENCY: Final = 64
_SAME_FORMAT: Final = {
    **dict.fromkeys((".jpeg", ".jpe", ".jfif"), ".jpg"),
    **dict.fromkeys((".heif", ".hif"), ".heic"),
    ".tif": ".tiff",
}


@dataclass(frozen=True, slots=True)
class JobPlan:
    """The jobs to run.

    Attributes:
        requests: The requests.
        skipped: How many results already exist.
        to_stdout: Whether to write the single result to standard output.
    """

    requests: tuple[JobRequest, ...]
    skipped: int = 0
    to_stdout: bool = False


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes the plan of a command.

    Attributes:
        task: The name of the task.
        options: The options that all task commands share.
        temp_dir: The folder for files from standard input and for standard output.
        ledger: Records what existing results were made from.
        annotate: The file for a copy with the faces marked, or the folder for several; None for none.
    """

    task: str
    options: RunOptions
    temp_dir: Path
    ledger: Ledger
    annotate: Path | None = None

    def plan(self, files: Sequence[str], values: Mapping[str, object]) -> JobPlan:
        """Find the inputs, and choose a path for each result that does not exist yet.

        Args:
            files: The command's arguments; see `find_inputs`.
            values: The task's parameters by name.

        Returns:
            The plan.

        Raises:
            UsageError: An argument or an option is invalid.
        """
        check_job_options(self.options.jobs)
        params = task_params(self.task, values)
        search = InputSearch(
            recursive=self.options.inputs.recursive,
            suffixes=suffixes_for((self.task,)),
            ledger=self.ledger,
            say=Terminal.make(self.options.output).say,
            temp_dir=self.temp_dir,
            exclude=self.options.inputs.exclude,
        )
        inputs = find_inputs(files, search)
        target_of = self._targets(inputs, result_suffix(self.task, params))
        annotated_at = self._annotated(inputs)
        name_of = partial(display_name, temp_dir=self.temp_dir)
        wanted = [
            JobRequest(
                path,
                self.task,
                params,
                target_of(path),
                name_of(path),
                annotated_at(path),
                is_temporary=path.parent == self.temp_dir,
            )
            for path in inputs.files
        ]
        requests = [request for request in wanted if not self._is_there(request)]
        return JobPlan(tuple(requests), len(wanted) - len(requests), self._to_stdout)

    @property
    def _to_stdout(self) -> bool:
        return str(self.options.results.output) == STANDARD_INPUT

    def _is_there(self, request: JobRequest) -> bool:
        results, target, annotated = self.options.results, request.target, request.annotated
        # A file named with --output is always written.
        if target is None or results.force or results.output is not None or not self.options.jobs.wait:
            return False
        if annotated is not None and not annotated.exists():
            return False
        return is_up_to_date(target, request.path, request.params.form_fields(), self.ledger)

    def _targets(self, inputs: FoundInputs, suffix: str) -> Callable[[Path], Path | None]:
        """A function from an input to the path of its result."""
        output, output_dir = self.options.results.output, self.options.results.output_dir
        if output is not None and output_dir is not None:
            raise UsageError("--output and --output-dir cannot be combined: give only one of them")
        if output is not None:
            return self._one_target(output, inputs.files, suffix)
        if output_dir is None and not task_kind(self.task).is_file:
            return lambda _: None
        check_folder("--output-dir", output_dir or Path.cwd())
        names = ResultNames(output_dir or Path(), inputs.files, inputs.folders, suffix)
        return lambda path: names.target(path, partial(is_result_of_other, source=path, ledger=self.ledger))

    def _one_target(self, output: Path, inputs: Sequence[Path], suffix: str) -> Callable[[Path], Path]:
        """A function from the single input to the path that was named."""
        if len(inputs) > 1:
            raise UsageError(f"--output is for a single input, but there are {len(inputs)}: use --output-dir")
        if self._to_stdout:
            self._check_standard_output()
            return lambda _: self.temp_dir / f"result{suffix}"
        if task_kind(self.task).is_folder:
            check_stream_folder("--output", output)
        else:
            check_file("--output", output)
            _check_no_input("--output", output, inputs)
            _check_format("--output", output, suffix)
        return lambda _: output

    def _check_standard_output(self) -> None:
        if task_kind(self.task).is_folder:
            raise UsageError("--output -: the result consists of many files; name a folder")
        if self.options.output.json:
            raise UsageError("--output - and --json both write to standard output: give only one of them")

    def _annotated(self, inputs: FoundInputs) -> Callable[[Path], Path | None]:
        """A function from an input to the path of its copy with the faces marked."""
        annotate = self.annotate
        if annotate is None:
            return lambda _: None
        if annotate.is_dir() or not annotate.suffix:
            check_folder("--annotate", annotate)
            return ResultNames(annotate, inputs.files, inputs.folders, ANNOTATED_SUFFIX).target
        count = len(inputs.files)
        if count > 1:
            raise UsageError(
                f"--annotate {annotate}: this is a single file, but there are {count} inputs: name a folder"
            )
        from cl_client_cli.pictures.upright import writable_format

        writable_format(annotate)
        check_file("--annotate", annotate)
        _check_no_input("--annotate", annotate, inputs.files)
        return lambda _: annotate


def _check_no_input(option: str, file: Path, inputs: Sequence[Path]) -> None:
    if file.resolve() in {path.resolve() for path in inputs}:
        raise UsageError(f"{option} {file}: this would overwrite the input; name another file")


def _check_format(option: str, file: Path, suffix: str) -> None:
    """Check that the suffix of an image matches its format."""
    named, made = (_SAME_FORMAT.get(it, it) for it in (file.suffix.lower(), Path(f"_{suffix}").suffix))
    if named != made and {named, made} <= SUFFIXES["picture"]:
        raise UsageError(
            f"{option} {file}: the format of the result is {made[1:]}, not {named[1:]}; "
            f"name a file that ends in {made}"
        )


def check_outlives_command(connection: ConnectionOptions) -> None:
    """Check that the server outlives a command that does not wait for its jobs.

    Args:
        connection: Where the server is, and which login to use.

    Raises:
        UsageError: The server is a temporary local one, which ends with the command.
    """
    if connection.local:
        raise UsageError(
            "--no-wait and --local cannot be combined: the local server stops with the command, "
            "and its jobs are lost; remove one of them"
        )


def check_job_options(jobs: JobOptions) -> None:
    """Check the ranges of options; Cyclopts accepts any number.

    Args:
        jobs: The options.

    Raises:
        UsageError: An option is out of range.
    """
    if not 1 <= jobs.concurrency <= _MAX_CONCURRENCY:
        raise UsageError(f"--concurrency {jobs.concurrency}: must be 1 to {_MAX_CONCURRENCY}")
    if not 0 <= jobs.priority <= MAX_PRIORITY:
        raise UsageError(f"--priority {jobs.priority}: must be 0 to {MAX_PRIORITY}")
    if jobs.timeout is not None and not 0 < jobs.timeout < math.inf:
        raise UsageError(f"--timeout {jobs.timeout:g}: must be a number of seconds above 0")
    check_give_up_after(jobs.give_up_after)
