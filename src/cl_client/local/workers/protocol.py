"""The messages between the server and its worker processes: one JSON object per line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cl_client.local.jobs.shared_folders import JobSource, SharedFolders
from cl_client.local.models.store import ModelStore
from cl_client.models import JSONObject


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def line(self) -> bytes:
        """The message as one line of JSON."""
        return self.model_dump_json().encode() + b"\n"


class Reference(_Message):
    """A file on the server's disk, to be checked again when the job runs."""

    source: JobSource
    shared: SharedFolders


class TaskRequest(_Message):
    """A job to run. The paths are absolute; functions and the params model are ``"module:name"``."""

    task_type: str
    function: str
    checks: tuple[str, ...] = ()
    amends: tuple[str, ...] = ()
    params_model: str
    params: JSONObject
    input_file: Path
    output_file: Path
    job_folder: Path
    reference: Reference | None = None
    models: ModelStore


class TaskProgress(_Message):
    """Progress of the job, in percent."""

    kind: Literal["progress"] = "progress"
    progress: int = Field(ge=0, le=100)


class TaskResult(_Message):
    """The output of a job that completed."""

    kind: Literal["result"] = "result"
    output: JSONObject


class TaskError(_Message):
    """The error of a job that failed.

    Attributes:
        message: For the client that submitted the job.
        traceback: For the server's log; None if the task itself explained the error.
    """

    kind: Literal["error"] = "error"
    message: str
    traceback: str | None = None


TaskReply: TypeAlias = TaskProgress | TaskResult | TaskError

REPLY: TypeAdapter[TaskReply] = TypeAdapter(Annotated[TaskReply, Field(discriminator="kind")])
