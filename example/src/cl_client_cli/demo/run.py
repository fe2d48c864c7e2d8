"""Runs the demo's jobs on a server, a few at a time, and never lets one job end the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cl_client.exceptions import ComputeClientError, JobFailedError
from cl_client_cli.demo.results import Outcome
from cl_client_cli.demo.tasks import keep_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client import ComputeClient, JobResponse, TaskOutput
    from cl_client.plugins.base import SubmitOptions
    from cl_client_cli.demo.jobs import DemoJob
    from cl_client_cli.demo.progress import JobDisplay

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
    def show(response: JobResponse) -> None:
        display.update(job, response)

    options: SubmitOptions[TaskOutput] = {"wait": True, "raise_on_failure": True, "on_progress": show}
    try:
        words = await keep_result(client, job, options)
    except JobFailedError as exc:
        return Outcome(job, exc.job.error_message or "the server gave no reason", failed=True)
    except (ComputeClientError, OSError, ValueError) as exc:
        return Outcome(job, str(exc), failed=True)
    return Outcome(job, words)
