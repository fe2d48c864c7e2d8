"""The base of all plugin clients: validate parameters, submit jobs, read results, map over many files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, cast, get_args

from pydantic import ValidationError
from typing_extensions import TypeVar, get_original_bases

from cl_client._core.choices import MAX_PRIORITY
from cl_client._core.concurrency import DEFAULT_CONCURRENCY, checked_concurrency, map_concurrently
from cl_client._errors import InvalidParameterError, InvalidResponseError
from cl_client._transfers.job_paths import path_below_job
from cl_client._transfers.references import OUTPUT_PATH_FIELD
from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.options import (
    BinaryFile,
    MapOptions,
    PluginOutputT,
    ServerPath,
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
SourceT = TypeVar("SourceT", bound=Path | str | bytes | BinaryFile | UploadStream | ServerPath)


class PluginHost(Protocol):
    """The part of `ComputeClient` that plugins use."""

    config: ComputeClientConfig

    async def submit_job(
        self,
        task_type: str,
        source: FileSource,
        fields: Mapping[str, str],
        options: SubmitOptions[TaskOutput] | None = None,
    ) -> JobResponse:
        """Upload a file as a job.

        Args:
            task_type: The task.
            source: The file.
            fields: Form fields of the request.
            options: The options of the submit; None for the defaults.

        Returns:
            The job; see `ComputeClient.submit_job`.
        """
        ...

    async def download_job_file(
        self, job_id: str, file_path: str, dest: Path | str, *, on_progress: ByteProgress | None = None
    ) -> Path:
        """Download one file of a job.

        Args:
            job_id: The job.
            file_path: The path of the file below the job.
            dest: The file to write, or a folder.
            on_progress: Called with the bytes done and the total.

        Returns:
            The path of the written file; see `ComputeClient.download_job_file`.
        """
        ...

    async def read_job_file(self, job_id: str, file_path: str, *, max_bytes: int = ...) -> bytes:
        """Read a small file of a job into memory.

        Args:
            job_id: The job.
            file_path: The path of the file below the job.
            max_bytes: Upper limit of the size in bytes.

        Returns:
            The content; see `ComputeClient.read_job_file`.
        """
        ...

    def open_job_file(self, job_id: str, file_path: str) -> AbstractAsyncContextManager[JobFileStream]:
        """Open a file of a job as a stream.

        Args:
            job_id: The job.
            file_path: The path of the file below the job.

        Returns:
            A context manager that gives the stream; see `ComputeClient.open_job_file`.
        """
        ...

    async def download_job_files(
        self, job_id: str, files: Iterable[str], dest_dir: Path | str, *, relative_to: str = ""
    ) -> list[Path]:
        """Download several files of a job, all or none.

        Args:
            job_id: The job.
            files: The paths of the files below the job.
            dest_dir: The destination folder.
            relative_to: The folder of the job below which subfolders are kept.

        Returns:
            The paths of the written files; see `ComputeClient.download_job_files`.
        """
        ...


class BasePluginClient(Generic[PluginOutputT, PluginParamsT]):
    """The base class of a plugin client; a subclass adds its task, models and methods.

        class SharpenClient(BasePluginClient[SharpenOutput, SharpenParams]):
            task_type = "sharpen"

    Attributes:
        task_type: The name of the task on the server.
        output_model: The type of ``job.output``; read from the first model in the brackets of the base class.
        params_model: The type of the parameters; read from the second model there.
        result_extension: The extension of the result's file, such as ``".jpg"``, for programs that name the
            file themselves, as `cl-client` does; ``""`` if it has none. None if the result is the output.
    """

    task_type: ClassVar[str]
    output_model: ClassVar[type[TaskOutput]] = TaskOutput
    params_model: ClassVar[type[TaskParams]] = TaskParams
    result_extension: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in cast("tuple[object, ...]", get_original_bases(cls)):
            for model in cast("tuple[object, ...]", get_args(base)):
                if not isinstance(model, type):
                    continue  # a type variable; a subclass supplies the model
                if issubclass(model, TaskOutput) and "output_model" not in cls.__dict__:
                    cls.output_model = model
                elif issubclass(model, TaskParams) and "params_model" not in cls.__dict__:
                    cls.params_model = model

    def __init__(self, client: PluginHost) -> None:
        self._client = client

    def params(self, model: type[ParamsT], **values: object) -> ParamsT:
        """Validate the parameters of a task.

        Args:
            model: The model of the parameters.
            **values: The parameters by name.

        Returns:
            The validated parameters.

        Raises:
            InvalidParameterError: A value is invalid; the message names field, value and rule.
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
        """Upload a file as a job of this task.

        Args:
            source: The file.
            params: The parameters of the task.
            **options: Common to all plugins, see `SubmitOptions`.

        Returns:
            The queued job; with ``wait=True``, the ended job.

        Raises:
            InvalidParameterError: ``priority`` or another option is invalid; nothing was sent.
            ComputeClientError: See `ComputeClient.submit_job`.
        """
        priority = cast("object", options.get("priority", 5))
        if not isinstance(priority, int) or isinstance(priority, bool) or not 0 <= priority <= MAX_PRIORITY:
            raise InvalidParameterError(
                f"{self.task_type}: priority={priority!r}: must be 0-{MAX_PRIORITY} and an integer"
            )
        job = await self._client.submit_job(
            self.task_type,
            source,
            {**params.form_fields(), "priority": str(priority)},
            # The table of plugins maps the task to its output model, so the cast is true.
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
        """Run the task on many files, several at a time, and yield each file with its job when the job ends.

            async for path, job in client.exif.map(folder.glob("*.jpg"), concurrency=8):
                if isinstance(job, Exception): ...

        If a file fails, its error is yielded instead of its job, and the others continue. Memory use does
        not depend on the number of files. See `cl_client.map_concurrently` for leaving the loop early.

        Args:
            sources: The files: any iterable or async iterable, also an infinite one.
            params: The parameters of the task; None for the defaults.
            concurrency: Maximum number of jobs at the same time, 1 to the config's ``pool_maxsize``.
            **options: Common to all plugins, see `MapOptions`.

        Returns:
            Pairs of a file and its ended job, or of a file and its error, in the order in which jobs end.

        Raises:
            InvalidParameterError: ``concurrency`` is out of range, the task requires parameters, an option is
                unknown, or ``sources`` is a single file. Raised by the call, not in the loop.
        """
        check_options(self.task_type, options, MapOptions.__optional_keys__)
        chosen = self.params(self.params_model) if params is None else params

        async def run(source: SourceT) -> JobResponse[PluginOutputT]:
            return await self.submit(source, chosen, wait=True, **options)

        bound = checked_concurrency(concurrency, self._client.config.pool_maxsize)
        return map_concurrently(run, sources, concurrency=bound)

    def output(self, job: JobResponse) -> PluginOutputT:
        """Get the typed output of a completed job of this task.

        Args:
            job: The job, also one that was read by its id.

        Returns:
            The output, as ``output_model``.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidParameterError: The job belongs to another task.
            InvalidResponseError: The output of the server does not match ``output_model``.
        """
        self.check_completed(job)
        typed = job if job.task_type else job.model_copy(update={"task_type": self.task_type})
        return cast("PluginOutputT", typed.output)

    def output_path(self, job: JobResponse) -> str:
        """Get the path of the result of a completed job of this task.

        Args:
            job: The job.

        Returns:
            The path relative to the job, for instance ``output/thumbnail.jpg``.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidParameterError: The job belongs to another task.
            InvalidResponseError: The server gives no path, or a path outside the job.
        """
        self.check_completed(job)
        # CL Servers leave it empty for a job by reference.
        return self.checked_path(job, job.params.get("output_path") or job.params.get(OUTPUT_PATH_FIELD))

    async def output_files(self, job: JobResponse) -> list[str]:
        """List the output files of a completed job of this task.

        Args:
            job: The job.

        Returns:
            Paths relative to the job, the main result first.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidParameterError: The job belongs to another task.
            InvalidResponseError: The server gives a path outside the job.
        """
        return [self.output_path(job)]

    def check_completed(self, job: JobResponse) -> None:
        """Check that a job belongs to this task and has completed.

        Args:
            job: The job; a job without a task is accepted.

        Raises:
            JobNotFinishedError: The job has not ended yet.
            JobFailedError: The job failed or was deleted.
            InvalidParameterError: The job belongs to another task.
        """
        if job.task_type and job.task_type != self.task_type:
            raise InvalidParameterError(
                f"Job {job.job_id} has the task {job.task_type}; expected {self.task_type}"
            )
        job.raise_unless_completed()

    def checked_path(self, job: JobResponse, path: object) -> str:
        """Validate a path from the server and make it relative to the job.

        Args:
            job: The job.
            path: The path, absolute or relative.

        Returns:
            The part of the path below the job.

        Raises:
            InvalidResponseError: The path is not a string, or is outside the job.
        """
        try:
            return path_below_job(path if isinstance(path, str) else "", job.job_id)
        except ValueError as exc:
            raise InvalidResponseError(f"Job {job.job_id} ({job.task_type}): {exc}") from None
