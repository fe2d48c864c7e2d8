"""What all plugins share: validating, submitting, and following a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeAlias, TypedDict, TypeVar, cast

from pydantic import ValidationError

from cl_client.exceptions import InvalidParameterError
from cl_client.models import JobResponse, TaskOutput, TaskParams

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cl_client.plugin_clients import PluginClients
    from cl_client.transfers import FileSource

PluginOutputT = TypeVar("PluginOutputT", bound=TaskOutput)
ParamsT = TypeVar("ParamsT", bound=TaskParams)

JobCallback: TypeAlias = Callable[[JobResponse[PluginOutputT]], Awaitable[None] | None]
"""A plain function or a coroutine function that is given the job; runs on the client's loop."""

MAX_PRIORITY = 10


class SubmitOptions(TypedDict, Generic[PluginOutputT], total=False):
    """The options that every plugin method takes.

    Attributes:
        priority: 0-10, default 5. Stored by servers, whose queue is first come, first served.
        wait: Return only when the job has ended, with its output. Default False.
        timeout: Seconds to wait with ``wait=True``; None for the config's ``wait_timeout``.
        on_progress: Called for each change of status or progress that is seen, in order.
        on_complete: Called exactly once, with the full job, however it ended.
        raise_on_failure: With ``wait=True``, raise `JobFailedError` for a failed job. Default False.
        require_worker: Raise `WorkerUnavailableError` before uploading when nobody serves the task.
        delete_on_cancel: Delete the job at the server when the wait is cancelled or times out.
    """

    priority: int
    wait: bool
    timeout: float | None
    on_progress: JobCallback[PluginOutputT] | None
    on_complete: JobCallback[PluginOutputT] | None
    raise_on_failure: bool
    require_worker: bool | None
    delete_on_cancel: bool | None


class BasePluginClient(Generic[PluginOutputT]):
    """A plugin's client: a subclass adds its task, its output model and its verbs."""

    task_type: ClassVar[str]
    output_model: ClassVar[type[TaskOutput]] = TaskOutput

    def __init__(self, client: PluginClients) -> None:
        self._client = client

    def params(self, model: type[ParamsT], **values: object) -> ParamsT:
        """Validate a task's parameters.

        Raises:
            InvalidParameterError: Names each field, its value and what is allowed.
        """
        try:
            return model.model_validate(values)
        except ValidationError as exc:
            problems = "; ".join(
                f"{'.'.join(map(str, error['loc']))}={error['input']!r}: {error['msg']}"
                for error in exc.errors(include_url=False)
            )
            raise InvalidParameterError(f"{self.task_type}: {problems}") from None

    async def submit(
        self, source: FileSource, params: TaskParams, **options: Unpack[SubmitOptions[PluginOutputT]]
    ) -> JobResponse[PluginOutputT]:
        """Upload a file as a job of this task, and follow it as the options say."""
        priority = options.get("priority", 5)
        if not 0 <= priority <= MAX_PRIORITY:
            raise InvalidParameterError(f"{self.task_type}: priority={priority!r}: must be 0-{MAX_PRIORITY}")
        job = await self._client.submit_job(
            self.task_type,
            source,
            {**params.form_fields(), "priority": str(priority)},
            # The table of plugins ties the task to its output model, so that this only names what is true.
            cast("SubmitOptions[TaskOutput]", cast("object", options)),
        )
        return cast("JobResponse[PluginOutputT]", job)
