"""The items of a new batch: from a specification, or from files and tasks on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cl_client_cli.batch.items import ItemKey
from cl_client_cli.batch.places import ResultPlaces, without_results
from cl_client_cli.batch.spec import SPEC_SUFFIXES, JobSpec, read_spec
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.inputs import find_inputs
from cl_client_cli.tasks.media_kinds import SUFFIXES, media_of, suffixes_for
from cl_client_cli.tasks.plan import task_params
from cl_client_cli.tasks.table import TASKS, result_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue


def plan_items(
    arguments: Sequence[str],
    tasks: Sequence[str],
    params: Sequence[str],
    folder: Path,
    known: Mapping[ItemKey, Path],
    *,
    recursive: bool,
) -> dict[ItemKey, Path]:
    """Find out what a batch consists of, and where each result goes.

    Args:
        arguments: One specification, or files, patterns and folders.
        tasks: The tasks to run on each of the files that suit it.
        params: Parameters, each as TASK.NAME=VALUE.
        folder: Where results go.
        known: The items that are in the batch already; their places are theirs.
        recursive: Look into the folders of folders too.

    Raises:
        UsageError: Something cannot be; nothing has been changed.
    """
    if len(arguments) == 1 and Path(arguments[0]).suffix.lower() in SPEC_SUFFIXES:
        if tasks or params:
            raise UsageError("a specification names its tasks itself: leave out --task and --param")
        return _placed(read_spec(Path(arguments[0])), folder, known)
    chosen = [_known_task(name) for name in tasks]
    if not chosen:
        raise UsageError("name at least one task, for instance --task exif --task media-thumbnail")
    values = _parse_params(params, chosen)
    with_suffix = suffixes_for(chosen)
    found = find_inputs(arguments, recursive=recursive, suffixes=with_suffix, temp_dir=folder)
    inputs = without_results(found, arguments, known, folder)
    # Not validated, which has no use for names that are no Unicode.
    jobs = [
        JobSpec.model_construct(input=str(path), task=task, params=values.get(task, {}), output=None)
        for path in inputs
        for task in chosen
        if _suits(path, task)
    ]
    if not jobs:
        raise UsageError(f"none of the files suits {', '.join(chosen)}")
    return _placed(jobs, folder, known)


def _known_task(name: str) -> str:
    task = name.replace("-", "_")
    if task not in TASKS:
        raise UsageError(f"--task {name}: there is no such task; there are {', '.join(TASKS)}")
    return task


def _suits(path: Path, task: str) -> bool:
    """Whether a task is for such files; a file of an unknown kind is left to the server's judgement."""
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
            raise UsageError(f"--param {text}: write TASK.NAME=VALUE, such as media_thumbnail.width=320")
        parsed.setdefault(task, {})[name.replace("-", "_")] = value
    return parsed


def _placed(jobs: Sequence[JobSpec], folder: Path, known: Mapping[ItemKey, Path]) -> dict[ItemKey, Path]:
    """Validate the parameters, and give each result a place of its own."""
    sources = list(dict.fromkeys(Path(job.input).absolute() for job in jobs))
    places = ResultPlaces(folder, sources, known)
    placed: dict[ItemKey, Path] = {}
    for job in jobs:
        params = task_params(job.task, cast("Mapping[str, object]", job.params))
        source = Path(job.input).absolute()
        key = ItemKey(source, job.task, json.dumps(params.form_fields(), sort_keys=True))
        if (there := placed.get(key) or known.get(key)) is not None:
            if job.output is not None and places.wanted(job.output) != there:
                raise UsageError(
                    f"{source}: the result of {job.task} is at {str(there)!r}: name no other output"
                )
            placed[key] = there
        elif job.output is not None:
            placed[key] = places.named(job.output, job.task)
        else:
            placed[key] = places.made_from(source, result_suffix(job.task, params))
    return placed
