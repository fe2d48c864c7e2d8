"""A worker process seen from the server: it gets one job at a time and is replaced when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cl_client.local.workers.launcher import start_interpreter
from cl_client.local.workers.protocol import (
    REPLY,
    TaskError,
    TaskProgress,
    TaskReply,
    TaskRequest,
    TaskResult,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client.local.workers.launcher import Launcher, RunningProgram

logger = logging.getLogger(__name__)

launch: Launcher = start_interpreter
"""Starts every worker process."""

_CLOSING_SECONDS = 5.0
_KEPT_STDERR_BYTES = 4096


class TaskProcess:
    """One worker process at a time, started by `launch`."""

    def __init__(self) -> None:
        self._process: RunningProgram | None = None
        self._stderr_task: asyncio.Task[None] | None = None
        self._stderr_tail = b""
        self._killed = False
        self._has_worked = False

    async def warm_up(self) -> None:
        """Start the process before there is a job. If it cannot start, each job fails with the reason."""
        try:
            await self.start()
        except OSError as exc:
            logger.warning("A worker cannot start its process: %s", exc)

    async def start(self) -> None:
        """Start the process if none is running. One that died while idle is replaced."""
        if self._process is not None and self._process.returncode is None:
            return
        await self.close()
        self._stderr_tail = b""
        self._has_worked = False
        self._process = await launch()
        self._stderr_task = asyncio.create_task(self._read_stderr(self._process), name="worker-stderr")
        if self._killed:
            self._process.kill()

    async def run(
        self, request: TaskRequest, on_progress: Callable[[int], Awaitable[None]]
    ) -> TaskResult | TaskError:
        """Run one job to its end. If the process dies meanwhile, the job fails.

        Args:
            request: The job to run.
            on_progress: Awaited with each progress report, 0-100 percent.

        Returns:
            The task's output, or the error of the job.

        Raises:
            RuntimeError: The started process has no stdin.
        """
        self._killed = False
        try:
            await self.start()
        except OSError as exc:
            return TaskError(message=f"{_subject(request)} failed: cannot start a worker process: {exc}")
        process = self._process
        if process is None or process.stdin is None:
            raise RuntimeError("The worker process has no stdin")
        try:
            self._has_worked = True
            process.stdin.write(request.line())
            await process.stdin.drain()
            while True:
                reply = await self._read_reply(process)
                if isinstance(reply, TaskProgress):
                    await on_progress(reply.progress)
                else:
                    return reply
        except (ConnectionError, EOFError):
            return TaskError(message=await self._bury(request))
        except (ValueError, ValidationError) as exc:
            self.kill()
            await self.close()
            return TaskError(message=f"{_subject(request)} failed: its worker sent an invalid reply: {exc}")

    def kill(self) -> None:
        """Kill the process at once, even while it starts. Its job then fails."""
        self._killed = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """End the process and wait for its exit: by closing stdin, or by a kill if it is unused or hangs."""
        process, self._process = self._process, None
        if process is None:
            return
        if not self._has_worked and process.returncode is None:
            # It may still be importing for half a second, and would notice the closed stdin only then.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                await process.wait()
        except TimeoutError:
            logger.warning("Worker process %d did not exit in time; killing it", process.pid)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            if self._stderr_task is not None:
                await self._stderr_task

    async def _read_reply(self, process: RunningProgram) -> TaskReply:
        """Read the next message.

        Returns:
            The message.

        Raises:
            EOFError: The process has ended.
            ValueError: The line is too long or not a valid message.
        """
        line = await process.stdout.readline() if process.stdout is not None else b""
        if not line.endswith(b"\n"):
            raise EOFError
        return REPLY.validate_json(line)

    async def _bury(self, request: TaskRequest) -> str:
        """Clean up after a process that died, and return the job's error message."""
        process = self._process
        await self.close()
        code = process.returncode if process is not None else None
        tail = self._stderr_tail.decode(errors="replace").strip()
        level = logging.DEBUG if self._killed else logging.ERROR
        logger.log(level, "A worker process died (%s). Its last output:\n%s", _cause(code), tail or "(none)")
        return (
            f"{_subject(request)} failed: its worker process died ({_cause(code)}). "
            "A new process takes the next job."
        )

    async def _read_stderr(self, process: RunningProgram) -> None:
        """Drain stderr into the debug log, so that the pipe never fills up."""
        while process.stderr is not None and (chunk := await process.stderr.read(_KEPT_STDERR_BYTES)):
            logger.debug("Worker process %d: %s", process.pid, chunk.decode(errors="replace").rstrip())
            self._stderr_tail = (self._stderr_tail + chunk)[-_KEPT_STDERR_BYTES:]


def _subject(request: TaskRequest) -> str:
    return f"{request.input_file.name}: {request.task_type}"


def _cause(return_code: int | None) -> str:
    """Describe how a process ended: a negative code is a signal."""
    if return_code is None or return_code >= 0:
        return f"exit code {return_code}"
    try:
        name = signal.Signals(-return_code).name
    except ValueError:
        return f"signal {-return_code}"
    hint = ", possibly out of memory" if name == "SIGKILL" else ""
    return f"signal {-return_code}, {name}{hint}"
