"""What all plugins share: validating, submitting, following a job, and doing so for many files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, cast, get_args

from pydantic import ValidationError
from typing_extensions import TypeVar, get_original_bases

from cl_client._core.choices import MAX_PRIORITY
from cl_client._core.concurrency import DEFAULT_CONCURRENCY, checked_concurrency, map_concurrently
from cl_client._errors import InvalidParameterError, InvalidResponseError
from cl_client._transfers.job_paths import path_below_job
from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.options import (
    BinaryFile,
    MapOptions,
    PluginOutputT,
    SubmitOptions,
    UploadStream,
    check_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from typing_extensions import Unpack

    from cl_client._core.concurrency import Inputs, Outcomes
    from cl_client._transfers.download import JobFileStream
    from cl_client.config import ComputeClientConfig
    from cl_client.options import ByteProgress, FileSource

PluginParamsT = TypeVar("PluginParamsT", bound=TaskParams, default=TaskParams)
ParamsT = TypeVar("ParamsT", bound=TaskParams)
SourceT = TypeVar("SourceT", bound=Path | str | bytes | BinaryFile | UploadStream)


class PluginHost(Protocol):
    """What a plugin needs of a `ComputeClient`."""

    config: ComputeClientConfig

    async def submit_job(
        self,
        task_type: str,
        source: FileSource,
        fields: Mapping[str, str],
        options: SubmitOptions[TaskOutput] | None = None,
    ) -> JobResponse:
        """See `ComputeClient.submit_job`."""
        ...

    async def download_job_file(
        self, job_id: str, file_path: str, dest: Path | str, *, on_progress: ByteProgress | None = None
    ) -> Path:
        """See `ComputeClient.download_job_file`."""
        ...

    async def read_job_file(self, job_id: str, file_path: str, *, max_bytes: int = ...) -> bytes:
        """See `ComputeClient.read_job_file`."""
        ...

    def open_job_file(self, job_id: str, file_path: str) -> AbstractAsyncContextManager[JobFileStream]:
        """See `ComputeClient.open_job_file`."""
        ...

    async def download_job_files(
        self, job_id: str, files: Iterable[str], dest_dir: Path | str, *, relative_to: str = ""
    ) -> list[Path]:
        """See `ComputeClient.download_job_files`."""
        ...


class BasePluginClient(Generic[PluginOutputT, PluginParamsT]):
    """A plugin's client: a subclass adds its task, its models and its verbs.

        class SharpenClient(BasePluginClient[SharpenOutput, SharpenParams]):
            task_type = "sharpen"

    Attributes:
        task_type: The task, as the server calls it.
        output_model: What ``job.output`` is, the model in the brackets behind the base class.
        params_model: The task's parameters, the second model there.
    """

    task_type: ClassVar[str]
    output_model: ClassVar[type[TaskOutput]] = TaskOutput
    params_model: ClassVar[type[TaskParams]] = TaskParams

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in cast("tuple[object, ...]", get_original_bases(cls)):
            for model in cast("tuple[object, ...]", get_args(base)):
                if not isinstance(model, type):
                    continue  # a type variable, which a subclass will fill in
                if issubclass(model, TaskOutput) and "output_model" not in cls.__dict__:
                    cls.output_model = model
                elif issubclass(model, TaskParams) and "params_model" not in cls.__dict__:
                    cls.params_model = model

    def __init__(self, client: PluginHost) -> None:
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
        """Upload a file as a job of this task, and follow it as the options say.

        The plugins' own methods use this; all of them return and raise what `ComputeClient.submit_job` does.
        """
        priority = cast("object", options.get("priority", 5))
        if not isinstance(priority, int) or isinstance(priority, bool) or not 0 <= priority <= MAX_PRIORITY:
            raise InvalidParameterError(
                f"{self.task_type}: priority={priority!r}: must be 0-{MAX_PRIORITY}, a whole number"
            )
        job = await self._client.submit_job(
            self.task_type,
            source,
            {**params.form_fields(), "priority": str(priority)},
            # The table of plugins ties the task to its output model, so that this only names what is true.
            cast("SubmitOptions[TaskOutput]", cast("object", options)),
        )
        return cast("JobResponse[PluginOutputT]", job)

    def map(
        self,
        sources: Inputs[SourceT],
        params: PluginParamsT | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        **options: Unpack[MapOptions[PluginOutputT]],
    ) -> Outcomes[SourceT, JobResponse[PluginOutputT]]:
        """Run the task on many files, a few at a time, and yield each with its job as soon as it has ended.

            async for path, job in client.exif.map(folder.glob("*.jpg"), concurrency=8):
                if isinstance(job, Exception): ...

        One file's error takes the place of its job and ends nothing else. Memory stays flat for any number of
        files; `cl_client.map_concurrently` says what happens when the loop is left early.

        Args:
            sources: The files, any iterable, also an endless or an asynchronous one.
            params: The task's parameters; None for the defaults.
            concurrency: Jobs at the same time, 1 to the config's ``pool_maxsize``.
            **options: Common to all plugins, see `MapOptions`.

        Raises:
            InvalidParameterError: ``concurrency`` is out of its range, the task has no defaults, an option
                does not exist, or ``sources`` is one file. Raised at once, not in the loop.
        """
        check_options(self.task_type, options, MapOptions.__optional_keys__)
        chosen = self.params(self.params_model) if params is None else params

        async def run(source: SourceT) -> JobResponse[PluginOutputT]:
            return await self.submit(source, chosen, wait=True, **options)

        bound = checked_concurrency(concurrency, self._client.config.pool_maxsize)
        return map_concurrently(run, sources, concurrency=bound)

    def output(self, job: JobResponse) -> PluginOutputT:
        """The typed output of a job of this task, also of one that was taken up by its id.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidParameterError: The job is one of another task.
            InvalidResponseError: The server's output does not have the task's shape.
        """
        self.check_completed(job)
        typed = job if job.task_type else job.model_copy(update={"task_type": self.task_type})
        return cast("PluginOutputT", typed.output)

    def output_path(self, job: JobResponse) -> str:
        """Where the result of a job of this task is, relative to the job.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidParameterError: The job is one of another task.
            InvalidResponseError: The server names no path, or one that is not below the job.
        """
        self.check_completed(job)
        return self.checked_path(job, job.params.get("output_path"))

    async def output_files(self, job: JobResponse) -> list[str]:
        """The files that a job of this task is known to leave, relative to the job, its result first.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidParameterError: The job is one of another task.
            InvalidResponseError: The server names a path that leads out of the job.
        """
        return [self.output_path(job)]

    def check_completed(self, job: JobResponse) -> None:
        """Check that a job is one of this task and has a result.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidParameterError: The job is one of another task.
        """
        if job.task_type and job.task_type != self.task_type:
            raise InvalidParameterError(
                f"Job {job.job_id} is one of {job.task_type}, not of {self.task_type}"
            )
        job.raise_unless_completed()

    def checked_path(self, job: JobResponse, path: object) -> str:
        """A path that the server named, absolute or not, reduced to its part below the job.

        Raises:
            InvalidResponseError: It is not text, or leads out of the job.
        """
        try:
            return path_below_job(path if isinstance(path, str) else "", job.job_id)
        except ValueError as exc:
            raise InvalidResponseError(f"Job {job.job_id} ({job.task_type}): {exc}") from None
