"""Runs the demo's jobs on a server: submits, follows, downloads, and never lets one job end the others."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from cl_client.exceptions import ComputeClientError
from cl_client.models import JobStatus
from cl_client_cli.demo_jobs import Submission, submit
from cl_client_cli.demo_results import Outcome, describe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client import ComputeClient, JobResponse
    from cl_client_cli.demo_jobs import DemoJob
    from cl_client_cli.demo_progress import JobDisplay

_JOBS_IN_FLIGHT: Final = 8


async def run_jobs(client: ComputeClient, jobs: Sequence[DemoJob], display: JobDisplay) -> list[Outcome]:
    """Run all jobs, a few at a time; the outcomes come in the order of the jobs."""
    slots = asyncio.Semaphore(_JOBS_IN_FLIGHT)

    async def run(job: DemoJob) -> Outcome:
        async with slots:
            display.start(job)
            outcome = await _run_job(client, job, display)
            display.end(outcome)
            return outcome

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(run(job)) for job in jobs]
    return [task.result() for task in running]


async def _run_job(client: ComputeClient, job: DemoJob, display: JobDisplay) -> Outcome:
    try:
        ended = await _follow(client, job, display)
        if ended.status is not JobStatus.COMPLETED:
            return Outcome(job, ended.error_message or "the server gave no reason", failed=True)
        result = await _download(client, job, ended)
        return Outcome(job, await asyncio.to_thread(describe, job, result))
    except (ComputeClientError, OSError, ValueError) as exc:
        return Outcome(job, str(exc), failed=True)


async def _follow(client: ComputeClient, job: DemoJob, display: JobDisplay) -> JobResponse:
    """Submit a job and wait for the announcement that it has ended."""
    ended: asyncio.Future[JobResponse] = asyncio.get_running_loop().create_future()

    def on_progress(response: JobResponse) -> None:
        display.update(job, response)

    def on_complete(response: JobResponse) -> None:
        if not ended.done():  # the demo may have been interrupted meanwhile
            ended.set_result(response)

    await submit(job, Submission(client, job.photo, on_progress, on_complete))
    return await ended


async def _download(client: ComputeClient, job: DemoJob, ended: JobResponse) -> Path:
    """Fetch the job's result file, under the name that the server gave it."""
    output_path = str(ended.params["output_path"])
    await asyncio.to_thread(job.folder.mkdir, parents=True, exist_ok=True)
    return await client.download_job_file(
        ended.job_id, output_path, job.folder / PurePosixPath(output_path).name
    )
