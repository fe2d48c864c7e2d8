"""What the server says, as pydantic models: jobs, workers, capabilities, health.

Field names and units mirror the wire. All models are frozen and keep unknown fields, so that a newer
server's additions reach the caller.
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
    """Where a job stands, in one vocabulary for all server generations."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    DELETED = "deleted"
    """The server no longer knows the job; no server says this word, the client concludes it from a 404."""
    UNKNOWN = "unknown"
    """A word of a newer server; treated as "not ended"."""

    @classmethod
    def from_wire(cls, word: str) -> JobStatus:
        """Translate a server's word; ``error`` is a failure, ``in_progress`` is processing."""
        return _WIRE_WORDS.get(word.strip().lower(), cls.UNKNOWN)

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can follow this status."""
        return self in _TERMINAL


_END_OF_TIME = 2**53
"""What a float holds exactly; hundreds of thousands of years in milliseconds."""
_TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.DELETED})
_WIRE_WORDS = {status.value: status for status in JobStatus} | {
    "error": JobStatus.FAILED,
    "in_progress": JobStatus.PROCESSING,
}


def _clamp_progress(value: object) -> object:
    """Servers store 0-100; a float or a value outside is rounded into that range."""
    if value is None:
        return 0
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:  # noqa: PLR0124 - NaN
        return round(min(max(value, 0), 100))
    return value


def _read_time(value: object) -> int | None:
    """Milliseconds since the epoch; None for anything else, as a job without a time still is a job."""
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            return None
        # Without a zone it could be any time of that day and the next.
        value = None if time.tzinfo is None else time.timestamp() * 1000
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _END_OF_TIME:
        return round(value)
    return None


def _read_status(word: object) -> JobStatus:
    if not isinstance(word, str):
        raise ValueError("a status is a word")  # noqa: TRY004 - pydantic reports only ValueErrors
    return JobStatus.from_wire(word)


def _read_words(value: object) -> str:
    """What a server says of a failure, as text: it may be an error's structure rather than a sentence."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


_Milliseconds = Annotated[int, Field(strict=True, gt=-_END_OF_TIME, lt=_END_OF_TIME)]

Progress = Annotated[int, Field(strict=True, ge=0, le=100), OrReadBy(_clamp_progress), OrElse(0)]
Time = Annotated[_Milliseconds | None, OrReadBy(_read_time)]
TimeOrZero = Annotated[_Milliseconds, OrReadBy(_read_time), OrElse(0)]


class ServerModel(BaseModel):
    """Base of everything a server sends: frozen, unknown fields kept.

    A field that an answer makes sense without has a default, and takes it for whatever it cannot read
    (`OrElse`); the others make the answer unusable.
    """

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class TaskOutput(ServerModel):
    """A task's ``task_output``; each plugin has a subclass with typed fields."""


_set_slot = object.__setattr__
"""The models themselves are frozen."""
_MAX_SHARED: Final = 64
_shared_sets: dict[frozenset[str], set[str]] = {}


def _shared(names: set[str]) -> set[str]:
    """One set for all jobs of which the same fields are known."""
    if len(_shared_sets) >= _MAX_SHARED:  # of a server that makes up names
        _shared_sets.clear()
    return _shared_sets.setdefault(frozenset(names), names)


OutputT_co = TypeVar("OutputT_co", bound=TaskOutput, default=TaskOutput, covariant=True)


class JobResponse(ServerModel, Generic[OutputT_co]):
    """A job as the server knows it.

    Attributes:
        job_id: The server's identifier of the job.
        task_type: The plugin's task, for instance ``"hash"``; empty where nobody knows it.
        status: The normalised status; compares equal to ``"completed"``, ``"failed"`` and so on.
        raw_status: The server's own word for the status.
        progress: 0-100 percent.
        params: The task's parameters as the server stored them.
        task_output: What the task reported, exactly as sent; None until the job has completed.
        error_message: The server's words for a failure.
        priority: 0-10. Stored by servers, but their queue is first come, first served.
        created_at: Milliseconds since the epoch; ``updated_at``, ``started_at``, ``completed_at`` alike.
            None where the server says nothing that can be read so.
    """

    # Beside the fields: what pydantic compares, copies, dumps and pickles does not know of it.
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
        """The typed output of the task; the same object each time.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted, so there is no output.
            InvalidResponseError: The server's output does not have the task's shape.
        """
        made = cast("OutputT_co | None", getattr(self, "_output", None))
        if made is None:
            made = self._make_output()
            _set_slot(self, "_output", made)
        return made

    @override
    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """A copy, with some fields replaced; they are not validated.

        A followed job is copied at each event, and may be one of a hundred thousand: what costs is the memory
        that is touched. So copies share what a frozen model never changes.
        """
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
            message = f"The output of job {self.job_id} is not what {self.task_type} promises: {exc}"
            raise InvalidResponseError(message) from exc

    def raise_for_status(self) -> JobResponse[OutputT_co]:
        """Raise if the job ended without success, else return the job itself.

        Raises:
            JobFailedError: The job failed or was deleted; the message holds the server's words.
        """
        if self.status in {JobStatus.FAILED, JobStatus.DELETED}:
            raise JobFailedError(self)
        return self

    def raise_unless_completed(self) -> JobResponse[OutputT_co]:
        """Raise if the job has no result, or none yet, else return the job itself.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
        """
        if not self.status.is_terminal:
            raise JobNotFinishedError(self)
        return self.raise_for_status()


_JOB_FIELDS: Final = frozenset(JobResponse.model_fields)


def _output_model(task_type: str) -> type[TaskOutput]:
    """The output model of a task; the untyped base for a task that no plugin knows."""
    from cl_client.plugins.table import load_client

    model = cast("object", getattr(load_client(task_type), "output_model", None))
    return model if isinstance(model, type) and issubclass(model, TaskOutput) else TaskOutput


class JobError(ComputeClientError):
    """Something about one job, which the error carries as ``job``."""

    def __init__(self, message: str, job: JobResponse) -> None:
        """Keep the job as it was known when the error arose."""
        super().__init__(message)
        self.job = job


class JobFailedError(JobError):
    """The job ended without success, and the caller asked for an exception."""

    def __init__(self, job: JobResponse) -> None:
        """Say the server's words."""
        reason = job.error_message or "the server gave no reason"
        super().__init__(f"Job {job.job_id} ({job.task_type}) {job.status}: {reason}", job)


class JobNotFinishedError(JobError):
    """The output was asked for before the job had ended."""

    def __init__(self, job: JobResponse) -> None:
        """Say how far the job is."""
        super().__init__(
            f"Job {job.job_id} ({job.task_type}) is {job.status} at {job.progress} %: "
            "wait for it before asking for its output",
            job,
        )


class JobTimeoutError(ComputeClientError, TimeoutError):
    """The time for a job was up; the job itself goes on at the server.

    Attributes:
        job_id: The job that was waited for.
        job: The last state that was seen, or None where the server never answered.
    """

    def __init__(self, job_id: str, timeout: float, job: JobResponse | None) -> None:
        """Say how far the job was."""
        state = "the server never told its state"
        if job is not None:
            state = f"it was {job.status} at {job.progress} %"
            if job.status == "unknown":
                state = f"its status was {job.raw_status!r}, which this version does not know"
        super().__init__(
            f"Job {job_id} did not end within {timeout:g} s; {state}. "
            "It goes on at the server: wait for it again by its id."
        )
        self.job_id = job_id
        self.job = job


class JobEvent(ServerModel):
    """One message on the job event topic: flat, without output and without error text."""

    job_id: str = Field(min_length=1)
    event_type: str
    timestamp: TimeOrZero = 0
    progress: Progress = 0


class WorkerCapability(ServerModel):
    """One worker's announcement on its retained topic.

    Attributes:
        worker_id: From ``worker_id`` or, on older servers, ``id``; the topic's last part in `MQTTJobMonitor`.
        capabilities: The task types that the worker runs.
        idle_count: 1 when it is free, 0 when it is busy.
        timestamp: Milliseconds since the epoch on the worker's clock.
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
        """No single field is needed, but without any of them it speaks of something else."""
        if isinstance(data, dict) and not ({"worker_id", "id", "capabilities", "idle_count"} & data.keys()):
            raise ValueError("no announcement of a worker")
        return cast("object", data)


class WorkerCapabilities(ServerModel):
    """The answer of ``/capabilities``: how many workers are idle, per task type."""

    num_workers: Annotated[int, OrElse(0)] = 0
    capabilities: Annotated[dict[str, Annotated[int, OrElse(0)]], OrElse({})] = Field(default_factory=dict)


class ServerHealth(ServerModel):
    """The answer of ``/``; ``guest_mode`` is None where the server does not say (generation A)."""

    status: str
    service: Annotated[str, OrElse("")] = ""
    version: Annotated[str, OrElse("")] = ""
    guest_mode: Annotated[bool | None, OrElse(None)] = Field(
        default=None, validation_alias=AliasChoices("guestMode", "guest_mode")
    )


class TaskParams(BaseModel):
    """A task's own parameters: validated here before anything is sent, and again by the local server.

    Field names are the form fields of the wire. ``None`` is left out of the form, a bool becomes
    ``true`` or ``false``; anything else a subclass serialises to text itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def form_fields(self) -> dict[str, str]:
        """The parameters as multipart form fields."""
        dumped = self.model_dump(mode="json", exclude_none=True)
        fields = cast("Mapping[str, JsonValue]", dumped)
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in fields.items()
        }
