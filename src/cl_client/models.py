"""The server's responses as pydantic models: jobs, workers, capabilities, health.

Field names and units are those of the server's JSON. All models are frozen and keep unknown fields, so that
callers can use what newer servers add.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Generic, TypeAlias, cast

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from typing_extensions import TypeVar, override

from cl_client._core.lenient import OrElse, OrLeftOut, OrReadBy
from cl_client._errors import ComputeClientError, InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

JSONObject: TypeAlias = dict[str, JsonValue]


class JobStatus(StrEnum):
    """Status of a job, the same for all server versions."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    DELETED = "deleted"
    """The job no longer exists on the server. No server sends this; the client derives it from a 404."""
    UNKNOWN = "unknown"
    """A status of a newer server; treated as "not ended"."""

    @classmethod
    def from_wire(cls, word: str) -> JobStatus:
        """Convert a server's status; ``error`` means failed, ``in_progress`` means processing.

        Args:
            word: The status as the server sent it, in any case.

        Returns:
            The status; `UNKNOWN` if the word is not known.
        """
        return _WIRE_WORDS.get(word.strip().lower(), cls.UNKNOWN)

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended, so that its status no longer changes."""
        return self in _TERMINAL


_END_OF_TIME = 2**53
"""The largest range that a float represents exactly: 285,000 years in milliseconds."""
_TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.DELETED})
_WIRE_WORDS = {status.value: status for status in JobStatus} | {
    "error": JobStatus.FAILED,
    "in_progress": JobStatus.PROCESSING,
}


def _clamp_progress(value: object) -> object:
    """Round a number, and limit it to 0-100."""
    if value is None:
        return 0
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:  # noqa: PLR0124 - NaN
        return round(min(max(value, 0), 100))
    return value


def _read_time(value: object) -> int | None:
    """Read milliseconds since the epoch; None for anything invalid, since a job is usable without a time."""
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            return None
        # Without a time zone, the point in time is unknown.
        value = None if time.tzinfo is None else time.timestamp() * 1000
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _END_OF_TIME:
        return round(value)
    return None


def _read_status(word: object) -> JobStatus:
    if not isinstance(word, str):
        raise ValueError("the status must be a string")  # noqa: TRY004 - pydantic reports only ValueErrors
    return JobStatus.from_wire(word)


def _read_words(value: object) -> str:
    """Convert a server's error message to text; it may be a JSON structure."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


_Milliseconds = Annotated[int, Field(strict=True, gt=-_END_OF_TIME, lt=_END_OF_TIME)]

Progress = Annotated[int, Field(strict=True, ge=0, le=100), OrReadBy(_clamp_progress), OrElse(0)]
Time = Annotated[_Milliseconds | None, OrReadBy(_read_time)]
TimeOrZero = Annotated[_Milliseconds, OrReadBy(_read_time), OrElse(0)]


class ServerModel(BaseModel):
    """Base class of everything that a server sends: frozen, unknown fields kept.

    Optional fields have a default, which also replaces an invalid value (`OrElse`). If another field is
    missing or invalid, the whole response is invalid.
    """

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class TaskOutput(ServerModel):
    """Output of a task (``task_output``); each plugin has a subclass with typed fields.

    Attributes:
        warnings: What was wrong with the file although the job completed, as sentences for people, for
            instance ``"the file is truncated: about 40 % of its rows are missing"``. Empty by default, and
            always from servers other than `LocalServer`, which do not send it.
    """

    warnings: Annotated[tuple[Annotated[str, OrLeftOut()], ...], OrElse(())] = ()


_set_slot = object.__setattr__
"""Sets an attribute although the models are frozen."""
_MAX_SHARED: Final = 64
_shared_sets: dict[frozenset[str], set[str]] = {}


def _shared(names: set[str]) -> set[str]:
    """Get the one set that all jobs with the same known fields share."""
    if len(_shared_sets) >= _MAX_SHARED:  # a server that invents field names must not fill the memory
        _shared_sets.clear()
    return _shared_sets.setdefault(frozenset(names), names)


OutputT_co = TypeVar("OutputT_co", bound=TaskOutput, default=TaskOutput, covariant=True)


class JobResponse(ServerModel, Generic[OutputT_co]):
    """A job on the server.

    Attributes:
        job_id: Id of the job.
        task_type: Task type, for instance ``"hash"``; empty if unknown.
        status: Normalised status; compares equal to ``"completed"``, ``"failed"`` and so on.
        raw_status: The status as the server sent it.
        progress: Progress in percent, 0-100.
        params: Parameters of the task, as stored by the server.
        task_output: Output of the task, exactly as sent; None until the job has completed.
        error_message: The server's message if the job failed.
        priority: 0-10. Servers store it, but process jobs in the order of their submission.
        created_at: Milliseconds since the epoch, like ``updated_at``, ``started_at`` and ``completed_at``.
            None if the server sends no valid time.
    """

    # Not a field, so that pydantic does not compare, copy, dump or pickle it.
    __slots__ = ("_output",)

    job_id: str = Field(min_length=1)
    task_type: Annotated[str, OrElse("")] = ""
    status: Annotated[JobStatus, BeforeValidator(_read_status)]
    raw_status: str
    progress: Progress = 0
    params: Annotated[JSONObject, OrElse({})] = Field(default_factory=dict)
    task_output: Annotated[JSONObject | None, OrElse(None)] = None
    error_message: str | None = None
    priority: Annotated[int, OrElse(5)] = 5
    created_at: Time = None
    updated_at: Time = None
    started_at: Time = None
    completed_at: Time = None

    @model_validator(mode="before")
    @classmethod
    def _keep_the_servers_words(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        fields = cast("Mapping[str, object]", data)
        words: dict[str, str] = {}
        if not isinstance(fields.get("raw_status"), str):
            words["raw_status"] = str(fields.get("status", ""))
        if (message := fields.get("error_message")) is not None:
            words["error_message"] = _read_words(message)
        return {**fields, **words} if words else fields

    @property
    def output(self) -> OutputT_co:
        """The typed output of the task; the same object on each access.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted, so it has no output.
            InvalidResponseError: The server's output does not match the task's output model.
        """
        made = cast("OutputT_co | None", getattr(self, "_output", None))
        if made is None:
            made = self._make_output()
            _set_slot(self, "_output", made)
        return made

    @override
    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """Copy the job, with some fields replaced; the new values are not validated."""
        # Every event copies a followed job, and there may be a hundred thousand of them. Touching memory is
        # what costs time, so copies share everything that a frozen model never changes.
        if deep or not update or self.__pydantic_private__ or not update.keys() <= _JOB_FIELDS:
            return super().model_copy(update=update, deep=deep)
        copied = self.__new__(type(self))
        known = self.__pydantic_fields_set__
        if not update.keys() <= known:
            known = _shared(known | update.keys())
        _set_slot(copied, "__dict__", {**self.__dict__, **update})
        _set_slot(copied, "__pydantic_fields_set__", known)
        _set_slot(copied, "__pydantic_extra__", self.__pydantic_extra__)
        _set_slot(copied, "__pydantic_private__", None)
        return copied

    def _make_output(self) -> OutputT_co:
        self.raise_unless_completed()
        model = _output_model(self.task_type)
        try:
            return cast("OutputT_co", model.model_validate(self.task_output or {}))
        except ValueError as exc:
            message = f"The output of job {self.job_id} is not valid for task {self.task_type}: {exc}"
            raise InvalidResponseError(message) from exc

    def raise_for_status(self) -> JobResponse[OutputT_co]:
        """Raise an error if the job failed or was deleted.

        Returns:
            The job itself.

        Raises:
            JobFailedError: The job failed or was deleted; the message contains the server's reason.
        """
        if self.status in {JobStatus.FAILED, JobStatus.DELETED}:
            raise JobFailedError(self)
        return self

    def raise_unless_completed(self) -> JobResponse[OutputT_co]:
        """Raise an error unless the job has completed.

        Returns:
            The job itself.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
        """
        if not self.status.is_terminal:
            raise JobNotFinishedError(self)
        return self.raise_for_status()


_JOB_FIELDS: Final = frozenset(JobResponse.model_fields)


def _output_model(task_type: str) -> type[TaskOutput]:
    """Get the output model of a task; `TaskOutput` if no plugin knows the task."""
    from cl_client.plugins.table import load_client

    model = cast("object", getattr(load_client(task_type), "output_model", None))
    return model if isinstance(model, type) and issubclass(model, TaskOutput) else TaskOutput


class JobError(ComputeClientError):
    """Base class of errors about a job, which they carry as ``job``."""

    def __init__(self, message: str, job: JobResponse) -> None:
        """Keep the state of the job at the time of the error."""
        super().__init__(message)
        self.job = job


class JobFailedError(JobError):
    """The job failed or was deleted, and the caller asked for an exception."""

    def __init__(self, job: JobResponse) -> None:
        """Give the server's reason."""
        reason = job.error_message or "the server gave no reason"
        super().__init__(f"Job {job.job_id} ({job.task_type}) {job.status}: {reason}", job)


class JobNotFinishedError(JobError):
    """The output was read before the job had ended."""

    def __init__(self, job: JobResponse) -> None:
        """Give the status and progress of the job."""
        super().__init__(
            f"Job {job.job_id} ({job.task_type}) is {job.status} at {job.progress} %: "
            "wait for it before reading its output",
            job,
        )


class JobTimeoutError(ComputeClientError, TimeoutError):
    """Waiting for a job timed out; the job itself continues on the server.

    Attributes:
        job_id: The job that was waited for.
        job: The last known state, or None if the server never answered.
    """

    def __init__(self, job_id: str, timeout: float, job: JobResponse | None) -> None:
        """Give the last known status and progress of the job."""
        state = "the server never reported its status"
        if job is not None:
            state = f"it was {job.status} at {job.progress} %"
            if job.status == "unknown":
                state = f"its status was {job.raw_status!r}, which is unknown to this version of cl_client"
        super().__init__(
            f"Waiting for job {job_id} timed out after {timeout:g} s; {state}. "
            "The job continues on the server: wait for it again by its id."
        )
        self.job_id = job_id
        self.job = job


class JobEvent(ServerModel):
    """A message on the job event topic. It contains neither the output nor the error message."""

    job_id: str = Field(min_length=1)
    event_type: str
    timestamp: TimeOrZero = 0
    progress: Progress = 0


class WorkerCapability(ServerModel):
    """A worker's announcement on its retained topic.

    Attributes:
        worker_id: Id of the worker: ``worker_id`` or, on older servers, ``id``. `MQTTJobMonitor` takes it
            from the last part of the topic.
        capabilities: The task types that the worker runs.
        idle_count: 1 if it is idle, 0 if it is busy.
        timestamp: Milliseconds since the epoch, by the worker's clock.
    """

    worker_id: Annotated[str, OrElse("")] = Field(
        default="", validation_alias=AliasChoices("worker_id", "id")
    )
    capabilities: Annotated[tuple[Annotated[str, OrLeftOut()], ...], OrElse(())] = ()
    idle_count: Annotated[int, Field(ge=0), OrElse(0)] = 0
    timestamp: TimeOrZero = 0

    @model_validator(mode="before")
    @classmethod
    def _is_an_announcement(cls, data: object) -> object:
        """Reject data with none of the fields, since it is about something else."""
        if isinstance(data, dict) and not ({"worker_id", "id", "capabilities", "idle_count"} & data.keys()):
            raise ValueError("not a worker announcement")
        return cast("object", data)


class WorkerCapabilities(ServerModel):
    """The response of ``/capabilities``: the number of idle workers per task type."""

    num_workers: Annotated[int, OrElse(0)] = 0
    capabilities: Annotated[dict[str, Annotated[int, OrElse(0)]], OrElse({})] = Field(default_factory=dict)


class ServerHealth(ServerModel):
    """The response of ``/``; ``guest_mode`` is None if the server does not send it (generation A)."""

    status: str
    service: Annotated[str, OrElse("")] = ""
    version: Annotated[str, OrElse("")] = ""
    guest_mode: Annotated[bool | None, OrElse(None)] = Field(
        default=None, validation_alias=AliasChoices("guestMode", "guest_mode")
    )


class TaskParams(BaseModel):
    """Parameters of a task: validated before anything is sent, and again by the local server.

    The fields are sent as form fields of the same names. ``None`` is left out, and a bool is sent as ``true``
    or ``false``. A subclass serialises everything else to text itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def form_fields(self) -> dict[str, str]:
        """Convert the parameters to multipart form fields.

        Returns:
            The values as text, by field name.
        """
        dumped = self.model_dump(mode="json", exclude_none=True)
        fields = cast("Mapping[str, JsonValue]", dumped)
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in fields.items()
        }
