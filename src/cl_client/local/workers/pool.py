"""The workers of a local server: each claims the oldest job, runs it in a process of its own, and says so."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from cl_client.local.workers.process import TaskProcess
from cl_client.local.workers.protocol import TaskRequest, TaskResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cl_client.local.broker.announcer import Announcer
    from cl_client.local.jobs.store import JobStore, StoredJob
    from cl_client.local.models.store import ModelStore
    from cl_client.local.tasks import TaskSpec
    from cl_client.models import JSONObject

logger = logging.getLogger(__name__)

_RESTART_PAUSE_SECONDS = 1.0


class Worker:
    """One worker.

    Args:
        worker_id: The last part of its topic.
        tasks: What it can run.
        store: Where jobs are claimed and their ends are committed.
        announcer: Where its doings are published.
        jobs_folder: Holds one folder per job, named by the job's id.
        models: Where the tasks find their models.
        poll_interval: Seconds between two looks for work that nobody announced.
    """

    def __init__(
        self,
        worker_id: str,
        *,
        tasks: Mapping[str, TaskSpec],
        store: JobStore,
        announcer: Announcer,
        jobs_folder: Path,
        models: ModelStore,
        poll_interval: float,
    ) -> None:
        self.worker_id = worker_id
        self.idle = True
        self.job_id: str | None = None
        self._tasks = tasks
        self._store = store
        self._announcer = announcer
        self._jobs_folder = jobs_folder
        self._models = models
        self._poll_interval = poll_interval
        self._process = TaskProcess()
        self._waiting = False
        self._wake = asyncio.Event()
        self._job_ended = asyncio.Event()

    @property
    def can_be_woken(self) -> bool:
        """Whether it waits for work, and nobody has woken it yet."""
        return self._waiting and not self._wake.is_set()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    async def serve(self) -> None:
        """Work until cancelled; the process has ended when this ends."""
        self.announce(idle=True)
        try:
            await self._warm_up()
            while True:
                self._wake.clear()
                # Servers of all generations say busy and then idle again at each look for work.
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
            self._announcer.worker_left(self.worker_id)

    async def abandon_job(self) -> None:
        """Kill the process in the midst of its job, and wait until the worker has let go of it."""
        self._process.kill()
        await self._job_ended.wait()

    def announce(self, *, idle: bool) -> None:
        """Publish whether it is free."""
        self.idle = idle
        self._announcer.worker_changed(self.worker_id, idle=idle)

    async def _warm_up(self) -> None:
        """Start the process before there is a job; if it cannot be, the jobs will say so."""
        try:
            await self._process.start()
        except OSError as exc:
            logger.warning("Worker %s has no process: %s", self.worker_id, exc)

    async def _wait_for_work(self) -> None:
        self._waiting = True
        try:
            async with asyncio.timeout(self._poll_interval):
                await self._wake.wait()
        except TimeoutError:
            logger.debug("Worker %s looks for work", self.worker_id)
        finally:
            self._waiting = False

    async def _run(self, job: StoredJob) -> None:
        """One job to its end: committed first, published then."""
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
        """Run the task; the job as it ended, None if it was deleted meanwhile."""

        async def note_progress(progress: int) -> None:
            changed = await self._store.set_progress(job.job_id, progress)
            if changed is not None:
                self._announcer.job_changed(changed)

        reply = await self._process.run(self._request(job), note_progress)
        if isinstance(reply, TaskResult):
            return await self._store.complete(job.job_id, reply.output)
        if reply.traceback is not None:
            logger.error("Job %s: %s\n%s", job.job_id, reply.message, reply.traceback)
        return await self._store.fail(job.job_id, reply.message)

    def _request(self, job: StoredJob) -> TaskRequest:
        spec = self._tasks[job.task_type]
        folder = self._jobs_folder / job.job_id
        params: JSONObject = {**job.params}
        input_path, output_path = str(params.pop("input_path")), str(params.pop("output_path"))
        return TaskRequest(
            task_type=job.task_type,
            function=spec.function,
            params_model=spec.params,
            params=params,
            input_file=folder / input_path,
            output_file=folder / output_path,
            job_folder=folder,
            models=self._models,
        )


class WorkerPool:
    """All workers of a server, and their heartbeat.

    Args:
        workers: The workers, not started yet.
        heartbeat: Seconds between two announcements of a worker that has nothing new to say.
        busy_heartbeat: Whether busy workers announce themselves too. Real ones do not: a task blocks theirs.
    """

    def __init__(self, workers: Sequence[Worker], *, heartbeat: float, busy_heartbeat: bool = False) -> None:
        self.workers = tuple(workers)
        self._heartbeat = heartbeat
        self._busy_heartbeat = busy_heartbeat
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start all workers; needs a running loop."""
        self._running = [
            asyncio.create_task(self._keep_serving(worker), name=f"worker-{worker.worker_id}")
            for worker in self.workers
        ]
        self._running.append(asyncio.create_task(self._beat(), name="worker-heartbeat"))

    async def stop(self) -> None:
        """Stop all workers. What they were at stays in the store as running, and is run again later."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self.workers)

    @property
    def idle_count(self) -> int:
        """How many of them have nothing to do."""
        return sum(worker.idle for worker in self.workers)

    def notify(self) -> None:
        """There is work: wake a worker that waits for some, or have all look again."""
        free = next((worker for worker in self.workers if worker.can_be_woken), None)
        for worker in (free,) if free is not None else self.workers:
            worker.wake()

    async def abandon(self, job_id: str) -> None:
        """Stop working on a job, if anybody is."""
        for worker in self.workers:
            if worker.job_id == job_id:
                await worker.abandon_job()

    async def _keep_serving(self, worker: Worker) -> None:
        """A worker that meets a fault of the server itself is logged and starts again."""
        while True:
            try:
                await worker.serve()
            except Exception:
                logger.exception("Worker %s met a fault of the server and starts again", worker.worker_id)
            await asyncio.sleep(_RESTART_PAUSE_SECONDS)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            for worker in self.workers:
                if worker.idle or self._busy_heartbeat:
                    worker.announce(idle=worker.idle)
