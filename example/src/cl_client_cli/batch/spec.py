"""Batch specifications: jobs read from a JSON, YAML or CSV file."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Annotated, Final, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.table import TASKS, counted
from cl_client_cli.tasks.task_params import rule_of, task_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SPEC_SUFFIXES: Final = frozenset({".json", ".yaml", ".yml", ".csv"})

_COLUMNS: Final = ("input", "task", "output")
_NEEDED: Final = frozenset({"input", "task"})


def _none_if_empty(value: object) -> object:
    return None if value == "" else value  # an empty cell of a table


class JobSpec(BaseModel):
    """One job of a specification.

    Attributes:
        input: The input file, relative to the folder of the specification.
        task: The name of the task, for instance ``media_thumbnail`` or ``media-thumbnail``.
        params: The parameters of the task, by form field.
        output: The path of the result, relative to the folder of the results; None or empty for a name made
            from the input's name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str = Field(min_length=1)
    task: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    output: Annotated[str | None, BeforeValidator(_none_if_empty)] = None


def read_spec(path: Path) -> list[JobSpec]:
    """Read a specification: a list of jobs, an object with the list as ``jobs``, or a table with a heading.

    Args:
        path: The file; its suffix names the format.

    Returns:
        The jobs.

    Raises:
        UsageError: The file cannot be read, or a job is invalid; the message names the job's number.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _rows(path, text)
    except UsageError:
        raise
    except (OSError, ValueError, RecursionError, csv.Error, yaml.YAMLError) as exc:
        raise UsageError(f"{path}: cannot be read: {exc}") from exc
    if not rows:
        raise UsageError(f"{path}: the specification contains no jobs")
    return [_checked(path, number, row) for number, row in enumerate(rows, start=1)]


def _rows(path: Path, text: str) -> Sequence[object]:
    if path.suffix.lower() == ".csv":
        return _csv_rows(path, text)
    content = cast("object", json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text))
    if isinstance(content, dict):
        content = cast("dict[str, object]", content).get("jobs")
    if not isinstance(content, list):
        raise UsageError(f'{path}: must be a list of jobs, or {{"jobs": [...]}}')
    return cast("list[object]", content)


def _csv_rows(path: Path, text: str) -> list[dict[str, object]]:
    heading, *rows = csv.reader(io.StringIO(text, newline="")) if text.strip() else [[]]
    names = [name.strip() for name in heading]
    if not _NEEDED.issubset(names) or len(set(names)) < len(names):
        raise UsageError(
            f"{path}: the first line must name the columns input, task and others, each once, "
            f"separated by commas; it is {','.join(heading)!r}"
        )
    filled = [row for row in rows if row]
    for number, row in enumerate(filled, start=1):
        if len(row) > len(names):
            raise UsageError(
                f"{path}, job {number}: the row has {counted(len(row), 'column')}, but the heading has "
                f"{len(names)}"
            )
    return [_from_csv(dict(zip(names, row, strict=False))) for row in filled]


def _from_csv(row: Mapping[str, str]) -> dict[str, object]:
    """A row; columns with other names are parameters, and empty ones are ignored."""
    known = {name: row[name] for name in _COLUMNS if row.get(name)}
    return {**known, "params": {name: value for name, value in row.items() if name not in _COLUMNS and value}}


def _checked(path: Path, number: int, row: object) -> JobSpec:
    try:
        spec = JobSpec.model_validate(row)
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'row'}: {rule_of(error)}" for error in exc.errors()
        )
        raise UsageError(f"{path}, job {number}: {problems}") from None
    task = spec.task.replace("-", "_")
    if task not in TASKS:
        raise UsageError(
            f"{path}, job {number}: unknown task {spec.task!r}; the tasks are {', '.join(TASKS)}"
        )
    source = path.parent / spec.input
    if not source.is_file():
        raise UsageError(f"{path}, job {number}: file {str(source)!r} not found")
    try:
        task_params(task, cast("Mapping[str, object]", spec.params))
    except UsageError as exc:
        raise UsageError(f"{path}, job {number}: {exc}") from None
    return spec.model_copy(update={"task": task, "input": str(source)})
