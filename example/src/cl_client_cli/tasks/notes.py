"""What users should know about a result of a job that completed: warnings, and what a conversion dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Self

    from cl_client import JobResponse, JSONObject
    from cl_client_cli.frame.terminal import Terminal
    from cl_client_cli.tasks.job_outcome import Outcome
    from cl_client_cli.tasks.table import TaskResult

_WARNINGS = "warnings"
_DROPPED = "dropped"
_FILES_PER_NOTE: Final = 10
"""With thousands of photos of one phone, each has the same note."""
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


class Notes:
    """Prints the notes of many outcomes as they arrive; the same one for the first `_FILES_PER_NOTE` files.

    A context manager: leaving it prints for how many more files each note holds.

    Attributes:
        noted: How many outcomes had notes.

    Args:
        terminal: Where to print them.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._files = Counter[str]()
        self.noted = 0

    def tell(self, outcome: Outcome) -> None:
        """Print the notes of an outcome.

        Args:
            outcome: The outcome.
        """
        notes = [] if outcome.result is None else notes_in(outcome.result.data)
        self.noted += bool(notes)
        for note in notes:
            self._files[note] += 1
            if self._files[note] <= _FILES_PER_NOTE:
                self._terminal.warn(f"{outcome.request.name}: {note}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        for note, files in self._files.items():
            if (more := files - _FILES_PER_NOTE) > 0:
                self._terminal.warn(f"{more:,} more {'file' if more == 1 else 'files'}: {note}")


def _texts(data: JSONObject, name: str) -> list[str]:
    found = data.get(name)
    texts = [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
    return [" ".join(text.split()) for text in texts]
