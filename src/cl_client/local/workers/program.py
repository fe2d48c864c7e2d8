"""The program of a worker process: it reads jobs from stdin, one at a time, and replies on stdout.

Started by `cl_client.local.workers.process`. It exits when stdin is closed, even during a job, so that no
worker outlives its server, even if the server was killed.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import pkgutil
import queue
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, BinaryIO, cast

from typing_extensions import override

from cl_client.local.jobs.shared_folders import FileChangedError, NotSharedError
from cl_client.local.models.store import ModelUnavailableError
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.workers.protocol import TaskError, TaskProgress, TaskReply, TaskRequest, TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import JsonValue

    from cl_client.local.tasks.contract import TaskFunction
    from cl_client.models import JSONObject, TaskParams


class RequestReader(threading.Thread):
    """Reads requests ahead: only a thread that always reads notices at once that the server is gone."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(name="requests", daemon=True)
        self.lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.busy = threading.Event()
        self._stream = stream

    @override
    def run(self) -> None:
        """Queue each line; at the end of the stream, end the process."""
        for line in self._stream:
            self.busy.set()
            self.lines.put(line)
        if self.busy.is_set():
            os._exit(0)  # a task that blocks cannot be ended in any other way
        self.lines.put(None)


class ProgressReporter:
    """Sends a task's progress: each percentage once, never a lower one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last = 0

    def __call__(self, progress: int) -> None:
        """Report 0-100 percent; other values are clamped."""
        percent = min(max(int(progress), 0), 100)
        if percent > self._last:
            self._last = percent
            _send(self._stream, TaskProgress(progress=percent))


def _send(stream: BinaryIO, reply: TaskReply) -> None:
    stream.write(reply.line())
    stream.flush()


def _run(request: TaskRequest, report: ProgressReporter) -> JSONObject:
    """Import the task and run it. The first job of a task takes longer, as its libraries are imported."""
    function = cast("TaskFunction[TaskParams]", pkgutil.resolve_name(request.function))
    params_model = cast("type[TaskParams]", pkgutil.resolve_name(request.params_model))
    request.output_file.parent.mkdir(parents=True, exist_ok=True)
    context = TaskContext(
        params=params_model.model_validate(request.params),
        input_file=_checked_input(request),
        output_file=request.output_file,
        job_folder=request.job_folder,
        report=report,
        models=request.models,
    )
    for name in request.checks:
        check = cast("Callable[[TaskContext[TaskParams]], None]", pkgutil.resolve_name(name))
        check(context)
    output = function(context)
    if not isinstance(cast("object", output), dict):  # a function of another package may forget to return one
        raise TypeError(f"{request.function} returned {type(output).__name__} instead of a dict")
    _checked_input(request)
    if context.warnings:
        warnings: JsonValue = [*context.warnings]
        output = output | {"warnings": warnings}
    for name in request.amends:
        amend = cast(
            "Callable[[TaskContext[TaskParams], JSONObject], JSONObject]", pkgutil.resolve_name(name)
        )
        output = amend(context, output)
    # NaN and infinity are not valid JSON, and would break the HTTP response with the job.
    json.dumps(output, allow_nan=False)
    return output


def _checked_input(request: TaskRequest) -> Path:
    """The file to read; one on the server's disk is still shared, and as it was at the submit."""
    reference = request.reference
    return request.input_file if reference is None else reference.source.checked(reference.shared)


def _answer(request: TaskRequest, report: ProgressReporter) -> TaskResult | TaskError:
    """Run one job; any exception becomes the job's error."""
    try:
        return TaskResult(output=_run(request, report))
    except (TaskFailedError, ModelUnavailableError, NotSharedError, FileChangedError) as exc:
        return TaskError(message=str(exc))
    except Exception as exc:  # noqa: BLE001 - a task may raise anything; it is reported and logged
        name = request.input_file.name
        message = f"{name}: {request.task_type} failed: {type(exc).__name__}: {exc}"
        return TaskError(message=message, traceback=traceback.format_exc())


def _take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol: libraries print to stderr, and child processes read nothing."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(replies, "wb")


def main() -> None:
    """Run jobs until stdin is closed."""
    # Ctrl+C reaches every process of a terminal, but the server ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    requests, replies = _take_over_streams()
    reader = RequestReader(requests)
    reader.start()
    while (line := reader.lines.get()) is not None:
        _send(replies, _answer(TaskRequest.model_validate_json(line), ProgressReporter(replies)))
        reader.busy.clear()
    sys.stderr.flush()
    gc.freeze()  # spares the last search for unreachable objects, just before all memory is freed


if __name__ == "__main__":
    main()
