"""The cost of following jobs: bytes per followed job, and ten thousand jobs in flight at the same time."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc

from figures import Figure
from null_server import null_client, null_server
from null_task import NULL

from cl_client import ComputeClientConfig, JobResponse
from cl_client._jobs.reader import JobReader
from cl_client._jobs.tracker import JobTracker
from cl_client.models import JobEvent

_JOBS = 10_000
_SUBMITTING = 64


def _ignore(_job: JobResponse) -> None:
    pass


async def _no_read(job_id: str) -> JobResponse:
    raise AssertionError(job_id)


async def _bytes_per_job() -> float:
    """Bytes for each running job that is followed from its submit on, with both callbacks."""
    config = ComputeClientConfig.create(poll_min=3600, poll_interval=3600)
    tracker = JobTracker(JobReader(_no_read, limit=8, cache_size=0), config)
    answers = [
        b'{"job_id": "00000000-0000-4000-8000-%012d", "task_type": "null", "status": "queued"}' % number
        for number in range(_JOBS)
    ]
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for answer in answers:
        job = JobResponse.model_validate_json(answer)
        tracker.subscribe(job.job_id, _ignore, _ignore, submitted=job, fresh=True)
        del job
    await asyncio.sleep(0)
    for number in range(_JOBS):
        job_id = f"00000000-0000-4000-8000-{number:012d}"
        tracker.on_event(JobEvent(job_id=job_id, event_type="processing", progress=10))
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await tracker.close()
    return (after - before) / _JOBS


async def _all_in_flight(jobs: int) -> Figure:
    """Submit and follow all jobs, until each has ended once."""
    ended: dict[str, int] = {}
    all_ended = asyncio.Event()

    def on_complete(job: JobResponse) -> None:
        job.raise_for_status()
        ended[job.job_id] = ended.get(job.job_id, 0) + 1
        if len(ended) == jobs:
            all_ended.set()

    with null_server() as addresses:
        async with null_client(addresses) as client:
            left = iter(range(jobs))
            most = 0

            async def submit() -> None:
                nonlocal most
                for number in left:
                    await client.submit_job(NULL, b"x", {"priority": "5"}, {"on_complete": on_complete})
                    most = max(most, number + 1 - len(ended))

            begin = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(_SUBMITTING):
                    group.create_task(submit())
            await asyncio.wait_for(all_ended.wait(), 600)
            seconds = time.perf_counter() - begin
            reads = {str(reason): count for reason, count in client.reads.items()}
    if any(count != 1 for count in ended.values()):
        raise RuntimeError("a job ended twice")
    return Figure(
        f"{jobs:,} jobs followed in one process, each ending once",
        jobs / seconds,
        "jobs/s",
        details={"most in flight at once": most, "seconds": round(seconds, 1), "reads": str(reads)},
    )


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer jobs.

    Returns:
        The figures.
    """
    per_job = asyncio.run(_bytes_per_job())
    return [
        Figure("memory per followed job", per_job / 1024, "KiB", 4, details={"jobs": _JOBS}),
        asyncio.run(_all_in_flight(500 if quick else _JOBS)),
    ]
