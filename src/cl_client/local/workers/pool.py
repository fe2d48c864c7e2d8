"""The workers of a local server: each claims the oldest job, runs it and publishes the result."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING

from cl_client._transfers.references import OUTPUT_PATH_FIELD, PATH_FIELD
from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.job_hook import ClaimedJob
from cl_client.local.workers.protocol import Reference, TaskError, TaskRequest, TaskResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from cl_client.local.broker.announcer import Announcer
    from cl_client.local.jobs.shared_folders import SharedFolders
    from cl_client.local.jobs.store import JobStore, StoredJob
    from cl_client.local.models.store import ModelStore
    from cl_client.local.tasks import TaskSpec
    from cl_client.local.tasks.job_hook import JobHook
    from cl_client.local.workers.process import TaskProcess
    from cl_client.models import JSONObject

logger = logging.getLogger(__name__)

_RESTART_PAUSE_SECONDS = 1.0
_SAFETY_NET_SECONDS = 5.0
"""Between two looks for a job that was queued without a `Worker.wake`, which should not happen."""


class Worker:
    """One worker.

    Args:
        worker_id: The last part of its MQTT topic.
        tasks: The tasks it can run, by name.
        store: The job table: jobs are claimed there and their results are committed there.
        announcer: Publishes the worker's state and the changes of its jobs.
        jobs_folder: Holds one folder per job, named after the job id.
        shared: The folders from which jobs may read files in place.
        models: Finds the model files of the tasks.
        process: Runs the tasks. It is started for the first job if it does not run yet.
        poll_interval: Seconds between two looks for queued jobs; None to look whenever `wake` is called.
        before_job: Runs before each task; see `JobHook`.
    """

    def __init__(
        self,
        worker_id: str,
        *,
        tasks: Mapping[str, TaskSpec],
        store: JobStore,
        announcer: Announcer,
        jobs_folder: Path,
        shared: SharedFolders,
        models: ModelStore,
        process: TaskProcess,
        poll_interval: float | None,
        before_job: JobHook | None = None,
    ) -> None:
        self.worker_id = worker_id
        self.idle = True
        self.job_id: str | None = None
        self._tasks = tasks
        self._store = store
        self._announcer = announcer
        self._jobs_folder = jobs_folder
        self._shared = shared
        self._models = models
        self._poll_interval = poll_interval
        self._before_job = before_job
        self._hook: asyncio.Future[None] | None = None
        self._is_abandoned = False
        self._process = process
        self._waiting = False
        self._wake = asyncio.Event()
        self._job_ended = asyncio.Event()

    @property
    def can_be_woken(self) -> bool:
        """Whether it waits for work and has not been woken yet."""
        return self._waiting and not self._wake.is_set()

    def wake(self) -> None:
        """Check for queued jobs now."""
        self._wake.set()

    async def serve(self) -> None:
        """Run jobs until cancelled. The worker process has exited when this returns."""
        self.announce(idle=True)
        try:
            while True:
                self._wake.clear()
                # Servers of all generations announce busy, then idle again, at each poll for work.
                self.announce(idle=False)
                job = await self._store.claim(self._tasks)
                if job is None:
                    self.announce(idle=True)
                    await self._wait_for_work()
                else:
                    await self._run(job)
                    self.announce(idle=True)
        finally:
            await self._process.close()
            self.idle = False
            self._announcer.worker_left(self.worker_id)

    async def abandon_job(self) -> None:
        """Kill the process during its job, and wait until the worker has finished with that job."""
        if self._hook is None:
            self._process.kill()
        else:  # the process has nothing to do yet
            self._is_abandoned = True
            self._hook.cancel()
        await self._job_ended.wait()

    def announce(self, *, idle: bool) -> None:
        """Publish the worker's state.

        Args:
            idle: Whether it is free to take a job.
        """
        self.idle = idle
        self._announcer.worker_changed(self.worker_id, idle=idle)

    async def _wait_for_work(self) -> None:
        if self._poll_interval is not None:
            await asyncio.sleep(self._poll_interval)
            return
        self._waiting = True
        try:
            async with asyncio.timeout(_SAFETY_NET_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            logger.debug("Worker %s polls for work", self.worker_id)
        finally:
            self._waiting = False

    async def _run(self, job: StoredJob) -> None:
        """Run one job to its end: the result is committed first, then published."""
        self.job_id = job.job_id
        self._job_ended.clear()
        try:
            self._announcer.job_changed(job)
            ended = await self._execute(job)
            if ended is not None:
                self._announcer.job_changed(ended)
        finally:
            self.job_id = None
            self._job_ended.set()

    async def _execute(self, job: StoredJob) -> StoredJob | None:
        """Run the task and return the ended job, or None if it was deleted meanwhile."""

        async def note_progress(progress: int) -> None:
            changed = await self._store.set_progress(job.job_id, progress)
            if changed is not None:
                self._announcer.job_changed(changed)

        reply = await self._run_hook(job, note_progress)
        if reply is None:
            reply = await self._process.run(await self._request(job), note_progress)
        if isinstance(reply, TaskResult):
            return await self._store.complete(job.job_id, reply.output)
        if reply.traceback is not None:
            logger.error("Job %s: %s\n%s", job.job_id, reply.message, reply.traceback)
        return await self._store.fail(job.job_id, reply.message)

    async def _run_hook(self, job: StoredJob, report: Callable[[int], Awaitable[None]]) -> TaskError | None:
        """Run the hook, if there is one; how the job failed there, or None if its task is to run."""
        if self._before_job is None:
            return None
        self._is_abandoned = False
        job_now = ClaimedJob(job.job_id, job.task_type, report)
        self._hook = hook = asyncio.ensure_future(self._before_job(job_now))
        try:
            await asyncio.wait({hook})
        finally:
            self._hook = None
            hook.cancel()
        if self._is_abandoned or hook.cancelled():
            return TaskError(message="The job was deleted")
        error = hook.exception()
        if isinstance(error, TaskFailedError):
            return TaskError(message=str(error))
        if error is not None:
            trace = "".join(traceback.format_exception(error))
            return TaskError(message=f"before_job failed: {error!r}", traceback=trace)
        return None

    async def _request(self, job: StoredJob) -> TaskRequest:
        spec = self._tasks[job.task_type]
        folder = self._jobs_folder / job.job_id
        params: JSONObject = {**job.params}
        input_path, output_path = str(params.pop("input_path")), str(params.pop("output_path"))
        # Jobs without an upload have no input path.
        source = None if input_path else await self._store.source(job.job_id)
        if source is not None:
            input_path = str(params.pop(PATH_FIELD))
            output_path = str(params.pop(OUTPUT_PATH_FIELD, output_path))
        return TaskRequest(
            task_type=job.task_type,
            function=spec.function,
            checks=spec.checks,
            amends=spec.amends,
            params_model=spec.params,
            params=params,
            input_file=folder / input_path,
            output_file=folder / output_path,
            job_folder=folder,
            reference=None if source is None else Reference(source=source, shared=self._shared),
            models=self._models,
        )


class WorkerPool:
    """All workers of a server, and their heartbeat.

    Args:
        workers: The workers, not started yet.
        heartbeat: Seconds between two announcements of a worker whose state does not change.
        busy_heartbeat: Whether busy workers send heartbeats too. On real servers a running task blocks them.
    """

    def __init__(self, workers: Sequence[Worker], *, heartbeat: float, busy_heartbeat: bool = False) -> None:
        self.workers = tuple(workers)
        self._heartbeat = heartbeat
        self._busy_heartbeat = busy_heartbeat
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start all workers. Needs a running event loop."""
        self._running = [
            asyncio.create_task(self._keep_serving(worker), name=f"worker-{worker.worker_id}")
            for worker in self.workers
        ]
        self._running.append(asyncio.create_task(self._beat(), name="worker-heartbeat"))

    async def stop(self) -> None:
        """Stop all workers. Their jobs stay in the store as processing and run again after the next start."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []

    @property
    def size(self) -> int:
        """How many workers there are; 0 while they are stopped."""
        return len(self.workers) if self._running else 0

    @property
    def idle_count(self) -> int:
        """The number of idle workers."""
        return sum(worker.idle for worker in self.workers)

    def notify(self) -> None:
        """Wake one waiting worker because a job was queued; if none waits, wake all."""
        free = next((worker for worker in self.workers if worker.can_be_woken), None)
        for worker in (free,) if free is not None else self.workers:
            worker.wake()

    async def abandon(self, job_id: str) -> None:
        """Stop the worker that runs a job, if there is one.

        Args:
            job_id: The job to stop.
        """
        for worker in self.workers:
            if worker.job_id == job_id:
                await worker.abandon_job()

    async def _keep_serving(self, worker: Worker) -> None:
        """Restart a worker that stops with an unexpected error of the server itself, and log the error."""
        while True:
            try:
                await worker.serve()
            except Exception:
                logger.exception("Worker %s stopped unexpectedly; restarting it", worker.worker_id)
            await asyncio.sleep(_RESTART_PAUSE_SECONDS)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            for worker in self.workers:
                if worker.idle or self._busy_heartbeat:
                    worker.announce(idle=worker.idle)
