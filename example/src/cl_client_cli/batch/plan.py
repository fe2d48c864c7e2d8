"""The items of a new batch: from a specification, or from files and tasks on the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cl_client_cli.batch.items import ItemKey
from cl_client_cli.batch.places import ResultPlaces, without_own_results
from cl_client_cli.batch.spec import SPEC_SUFFIXES, JobSpec, read_spec
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.tasks.inputs import InputSearch, find_inputs
from cl_client_cli.tasks.media_kinds import SUFFIXES, media_of, suffixes_for
from cl_client_cli.tasks.result_names import settled
from cl_client_cli.tasks.table import TASKS, result_suffix
from cl_client_cli.tasks.task_params import task_params

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import JsonValue

    from cl_client_cli.frame.options import InputOptions


def plan_items(
    arguments: Sequence[str],
    tasks: Sequence[str],
    params: Sequence[str],
    folder: Path,
    known: Mapping[ItemKey, Path],
    *,
    search: InputOptions,
    say: Callable[[str], None],
) -> dict[ItemKey, Path]:
    """Find the items of a batch, and choose the paths of their results.

    Args:
        arguments: One specification, or files, patterns and folders.
        tasks: The tasks to run on each suitable file.
        params: Parameters, each as TASK.NAME=VALUE.
        folder: The folder for the results.
        known: The items that the batch already has, with the paths of their results.
        search: How inputs are found.
        say: See `InputSearch`.

    Returns:
        The path of the result for each item.

    Raises:
        UsageError: An argument is invalid; nothing has been changed.
    """
    if len(arguments) == 1 and Path(arguments[0]).suffix.lower() in SPEC_SUFFIXES:
        if tasks or params:
            raise UsageError(
                "--task and --param cannot be combined with a specification, which names its own tasks: "
                "remove them"
            )
        rows = read_spec(Path(arguments[0]))
        folders = [Path(row.input).parent for row in rows]
        return _placed(rows, folder, folders, known, f"{arguments[0]}, job ")
    chosen = [_known_task(name) for name in tasks]
    if not chosen:
        raise UsageError("no task given: name at least one, for instance --task exif --task media-thumbnail")
    values = _parse_params(params, chosen)
    with Ledger.open() as ledger:
        wanted = suffixes_for(chosen)
        found = find_inputs(
            arguments, InputSearch(search.recursive, wanted, ledger, say, exclude=search.exclude)
        )
    inputs = without_own_results(found.files, arguments, known, folder)
    # Not validated, because validation rejects names with invalid Unicode.
    jobs = [
        JobSpec.model_construct(input=str(path), task=task, params=values.get(task, {}), output=None)
        for path in inputs
        for task in chosen
        if _suits(path, task)
    ]
    if not jobs:
        raise UsageError(f"no suitable files for {', '.join(chosen)}")
    return _placed(jobs, folder, found.folders, known)


def _known_task(name: str) -> str:
    task = name.replace("-", "_")
    if task not in TASKS:
        raise UsageError(f"--task {name}: unknown task; the tasks are {', '.join(TASKS)}")
    return task


def _suits(path: Path, task: str) -> bool:
    """Whether a task can process a file; for an unknown suffix the server decides."""
    suits = TASKS[task].suits
    known = any(path.suffix.lower() in suffixes for suffixes in SUFFIXES.values())
    return suits is None or not known or media_of(path) in suits


def _parse_params(params: Sequence[str], tasks: Sequence[str]) -> Mapping[str, dict[str, JsonValue]]:
    parsed: dict[str, dict[str, JsonValue]] = {}
    for text in params:
        path, mark, value = text.partition("=")
        task, dot, name = path.partition(".")
        task = task.replace("-", "_")
        if not mark or not dot or task not in tasks:
            raise UsageError(
                f"--param {text}: must be TASK.NAME=VALUE with a task of --task, such as "
                "media_thumbnail.width=320"
            )
        parsed.setdefault(task, {})[name.replace("-", "_")] = value
    return parsed


def _placed(
    jobs: Sequence[JobSpec],
    folder: Path,
    searched: Sequence[Path],
    known: Mapping[ItemKey, Path],
    row: str | None = None,
) -> dict[ItemKey, Path]:
    """Give the result of each job a unique path.

    Args:
        jobs: The jobs.
        folder: The folder for the results.
        searched: The folders of the inputs.
        known: The items that the batch already has.
        row: The prefix of a specification's row numbers in messages; None without a specification.

    Returns:
        The path of the result for each item.

    Raises:
        UsageError: A job is invalid; the message names its row.
    """
    sources = list(dict.fromkeys(settled(Path(job.input)) for job in jobs))
    # An earlier version recorded some files by other paths.
    noted = {key._replace(source=settled(key.source)): key for key in known}
    placement = _Placement(ResultPlaces(folder, sources, searched, known), known, noted)
    for number, job in enumerate(jobs, start=1):
        try:
            placement.place(job)
        except UsageError as exc:
            raise UsageError(str(exc) if row is None else f"{row}{number}: {exc}") from None
    return placement.placed


@dataclass(frozen=True, slots=True)
class _Placement:
    places: ResultPlaces
    known: Mapping[ItemKey, Path]
    noted: Mapping[ItemKey, ItemKey]
    placed: dict[ItemKey, Path] = field(default_factory=dict[ItemKey, Path])

    def place(self, job: JobSpec) -> None:
        """Validate a job's parameters, and choose the path of its result."""
        params = task_params(job.task, cast("Mapping[str, object]", job.params))
        source = settled(Path(job.input))
        key = ItemKey(source, job.task, json.dumps(params.form_fields(), sort_keys=True))
        key = self.noted.get(key, key)
        if (there := self.placed.get(key) or self.known.get(key)) is not None:
            if job.output is not None and self.places.wanted(job.output) != there:
                raise UsageError(
                    f"{source}: the result of {job.task} is already at {str(there)!r}: remove the output"
                )
            self.placed[key] = there
        elif job.output is not None:
            self.placed[key] = self.places.named(job.output, job.task)
        else:
            self.placed[key] = self.places.made_from(source, result_suffix(job.task, params))
