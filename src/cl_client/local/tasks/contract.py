"""What a task of the local server is given, and what it gives back.

Tasks run in a worker process, one job at a time. They are plain functions, block as long as they need, and
know nothing of HTTP or MQTT.
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
    """The task cannot be done; the message names the file and the cause, for the person who sent it."""


def _users_models() -> ModelStore:
    from cl_client.local.models.users_models import users_models

    return users_models()


@dataclass(frozen=True, slots=True)
class TaskContext(Generic[ParamsT]):
    """One job, as its task sees it.

    Attributes:
        params: The validated parameters.
        input_file: The uploaded file, inside the job's folder.
        output_file: Where the result belongs; its folder exists.
        job_folder: The job's folder; nothing may be read or written outside of it.
        report: Tell progress, 0-100. Cheap: call it as often as there is news.
        models: Where the task finds its models; the user's cache folder unless given.
    """

    params: ParamsT
    input_file: Path
    output_file: Path
    job_folder: Path
    report: Callable[[int], None]
    models: ModelStore = field(default_factory=_users_models)


TaskFunction: TypeAlias = Callable[[TaskContext[ParamsT]], JSONObject]
"""Runs a job and returns its ``task_output``."""
