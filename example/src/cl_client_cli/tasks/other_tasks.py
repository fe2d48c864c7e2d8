"""Tasks of other packages and of servers: what the command line does with a task that has no command."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from pydantic import ConfigDict
from typing_extensions import override

from cl_client import TaskOutput, TaskParams
from cl_client.exceptions import HTTPError, UnknownTaskError
from cl_client.plugins import BasePluginClient, plugin_class
from cl_client_cli.frame.whole_files import written_whole
from cl_client_cli.tasks.table import TaskKind, TaskResult

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Unpack

    from cl_client import ComputeClient, JobResponse, JSONObject
    from cl_client.options import FileSource, SubmitOptions

_SHORT: Final = 3
"""How many values of a result are in its summary."""
_NO_SUCH_ROUTE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


class UncheckedParams(TaskParams):
    """Parameters of a task without a plugin: the server checks them."""

    model_config = ConfigDict(extra="allow")


def params_model_of(task: str) -> type[TaskParams]:
    """The class of a task's parameters.

    Args:
        task: The name of the task.

    Returns:
        The plugin's class; one that takes any parameters if no plugin is installed.

    Raises:
        ConfigurationError: The plugin of another package is invalid.
    """
    try:
        return plugin_class(task).params_model
    except UnknownTaskError:
        return UncheckedParams


def plugin_of(client: ComputeClient, task: str) -> BasePluginClient[TaskOutput, TaskParams]:
    """The plugin client of any task.

    Args:
        client: The client.
        task: The name of the task.

    Returns:
        The plugin client; one that only submits if no plugin is installed.

    Raises:
        ConfigurationError: The plugin of another package is invalid.
    """
    try:
        return client.plugin(task)
    except UnknownTaskError:
        return _OtherTaskClient(client, task)


def kind_of_other(task: str) -> TaskKind:
    """How the command line uses a task that is not in its table.

    If its plugin says that the result is a file, that file is saved. Otherwise the result is the output.

    Args:
        task: The name of the task.

    Returns:
        The kind.

    Raises:
        ConfigurationError: The plugin of another package is invalid.
    """
    try:
        extension = plugin_class(task).result_extension
    except UnknownTaskError:
        extension = None
    if extension is None:
        return TaskKind(task, partial(_fetch_output, task), f".{task}.json", suits=None)
    return TaskKind(task, partial(_fetch_file, task), f".{task}{extension}", suits=None, is_file=True)


class _OtherTaskClient(BasePluginClient[TaskOutput, TaskParams]):
    """Submits jobs of a task that no plugin is installed for."""

    def __init__(self, client: ComputeClient, task: str) -> None:
        path = f"{client.config.jobs_endpoint}/{task}"
        super().__init__(client.with_options(plugin_endpoints={**client.config.plugin_endpoints, task: path}))
        self.task_type = task  # pyright: ignore[reportAttributeAccessIssue] - one class for all tasks
        self._host = client

    @override
    async def submit(
        self, source: FileSource, params: TaskParams, **options: Unpack[SubmitOptions[TaskOutput]]
    ) -> JobResponse[TaskOutput]:
        try:
            return await super().submit(source, params, **options)
        except HTTPError as exc:
            if exc.status_code not in _NO_SUCH_ROUTE:
                raise
            served = await self._host.get_capabilities()
            raise UnknownTaskError(self.task_type, (*served.capabilities,)) from exc


async def _fetch_output(
    task: str, client: ComputeClient, job: JobResponse, target: Path | None
) -> TaskResult:
    data = _output(plugin_of(client, task), job)
    text = json.dumps(data, indent=2, ensure_ascii=False)
    if target is not None:
        await asyncio.to_thread(_write, target, f"{text}\n")
    return TaskResult(_in_words(data), data, () if target is None else (target,), text)


async def _fetch_file(task: str, client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
    plugin = plugin_of(client, task)
    data = _output(plugin, job)
    files: tuple[Path, ...] = ()
    if target is not None:
        result, *_ = await plugin.output_files(job)
        files = (await client.download_job_file(job.job_id, result, target),)
    return TaskResult(_in_words(data), data, files)


def _output(plugin: BasePluginClient[TaskOutput, TaskParams], job: JobResponse) -> JSONObject:
    return cast("JSONObject", plugin.output(job).model_dump(mode="json", exclude={"warnings"}))


def _in_words(data: JSONObject) -> str:
    """The first values of an output in one line, without lists and objects."""
    plain = {name: value for name, value in data.items() if not isinstance(value, (list, dict))}
    words = [f"{name.replace('_', ' ')} {value}" for name, value in plain.items() if value is not None]
    return ", ".join(words[:_SHORT]) or "done"


def _write(target: Path, text: str) -> None:
    with written_whole(target) as part:
        part.write_text(text, encoding="utf-8")
