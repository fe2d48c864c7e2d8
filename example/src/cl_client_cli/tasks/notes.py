"""What users should know about a result of a job that completed: warnings, and what a conversion dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cl_client import JobResponse, JSONObject
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.tasks.job_engine import Outcome
    from cl_client_cli.tasks.table import TaskResult

_WARNINGS = "warnings"
_DROPPED = "dropped"
_NEVER_KEPT = frozenset({"embedded preview", "raw data"})
"""What no format keeps: most photos of cameras have it, and nobody misses it in a copy."""


def with_notes(result: TaskResult, job: JobResponse) -> TaskResult:
    """Add a job's notes to the data of its result, which some tasks compute themselves.

    Args:
        result: The result.
        job: The job.

    Returns:
        The result, with notes only if there are any.
    """
    noted: JSONObject = {}
    for name in (_WARNINGS, _DROPPED):
        if texts := _texts(job.task_output or {}, name):
            noted[name] = [*texts]
    rest = {name: value for name, value in result.data.items() if name not in {_WARNINGS, _DROPPED}}
    return replace(result, data={**rest, **noted})


def notes_in(data: JSONObject) -> list[str]:
    """List the notes of a result in words, without what no conversion keeps.

    Args:
        data: The result for programs.

    Returns:
        The notes.
    """
    dropped = [text for text in _texts(data, _DROPPED) if text not in _NEVER_KEPT]
    return [*_texts(data, _WARNINGS), *([f"not kept: {', '.join(dropped)}"] if dropped else ())]


def print_notes(terminal: Terminal, outcome: Outcome) -> bool:
    """Print the notes of an outcome.

    Args:
        terminal: Where to print them.
        outcome: The outcome.

    Returns:
        Whether there are any.
    """
    notes = [] if outcome.result is None else notes_in(outcome.result.data)
    for note in notes:
        terminal.warn(f"{outcome.request.name}: {note}")
    return bool(notes)


def _texts(data: JSONObject, name: str) -> list[str]:
    found = data.get(name)
    texts = [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
    return [" ".join(text.split()) for text in texts]
