"""The interface of a local server's task: its input, its output and its error.

Tasks run in a worker process, one job at a time. They are plain functions that may block, and do not depend
on HTTP or MQTT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from cl_client.models import JSONObject, TaskParams

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.models.store import ModelStore

ParamsT = TypeVar("ParamsT", bound=TaskParams)

MAX_WARNINGS: Final = 20
"""A damaged file may cause any number of warnings; so many are kept, which is enough to see what is wrong."""


class TaskFailedError(Exception):
    """The task failed; the message names the file and the cause, for the user who submitted it."""


def _users_models() -> ModelStore:
    from cl_client.local.models.users_models import users_models

    return users_models()


@dataclass(frozen=True, slots=True)
class TaskContext(Generic[ParamsT]):
    """The input of a task: one job.

    Attributes:
        params: The validated parameters.
        input_file: The uploaded file, inside the job's folder; or a file on the server's disk, elsewhere.
        output_file: The path to write the result to; its folder exists.
        job_folder: The job's folder; nothing may be written outside of it.
        report: Reports progress, 0-100 percent. Fast: call it as often as the progress changes.
        models: Finds the task's models; by default in the user's cache folder.
        warnings: What `warn` was given.
    """

    params: ParamsT
    input_file: Path
    output_file: Path
    job_folder: Path
    report: Callable[[int], None]
    models: ModelStore = field(default_factory=_users_models)
    warnings: list[str] = field(default_factory=list)

    def warn(self, message: str) -> None:
        """Add a warning to the ``task_output``: the job completes, but its user should know this.

        Each is kept once, and no more than `MAX_WARNINGS`.

        Args:
            message: The problem and its consequence, without the name of the file.
        """
        if message not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(message)


TaskFunction: TypeAlias = Callable[[TaskContext[ParamsT]], JSONObject]
"""Runs a job and returns its ``task_output``."""
