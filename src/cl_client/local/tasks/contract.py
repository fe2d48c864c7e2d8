"""The interface of a local server's task: its input, its output and its error.

Tasks run in a worker process, one job at a time. They are plain functions that may block, and do not depend
on HTTP or MQTT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from cl_client.models import JSONObject, TaskParams

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local.models.store import ModelStore

ParamsT = TypeVar("ParamsT", bound=TaskParams)


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
        input_file: The uploaded file, inside the job's folder.
        output_file: The path to write the result to; its folder exists.
        job_folder: The job's folder; nothing may be read or written outside of it.
        report: Reports progress, 0-100 percent. Fast: call it as often as the progress changes.
        models: Finds the task's models; by default in the user's cache folder.
    """

    params: ParamsT
    input_file: Path
    output_file: Path
    job_folder: Path
    report: Callable[[int], None]
    models: ModelStore = field(default_factory=_users_models)


TaskFunction: TypeAlias = Callable[[TaskContext[ParamsT]], JSONObject]
"""Runs a job and returns its ``task_output``."""
