"""The two halves of a server that replays jobs, in separate processes so that they do not slow each other.

``http PORT`` serves jobs: queued at the first read, completed from then on. ``events URL JOBS RATE``
publishes the progress and the ends of jobs at a steady rate, after a line on stdin, and prints when each end
was published, in nanoseconds of the monotonic clock that all processes share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, cast

import uvicorn
from starlette.responses import Response
from uvicorn.config import Config

from cl_client._mqtt.address import BrokerAddress
from cl_client.local.broker.publisher import Publisher

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_PROGRESS = (0, 25, 50, 75, 100)
EVENTS_PER_JOB = len(_PROGRESS)
_TOPIC = "inference/events"
_COMPLETED = 100


def job_id_of(number: int) -> str:
    """The ID of a job, known to both halves and the client.

    Args:
        number: The number of the job.

    Returns:
        The ID.
    """
    return f"00000000-0000-4000-8000-{number:012d}"


def serve_jobs(port: int) -> None:
    """Serve jobs until the process is killed.

    Args:
        port: The HTTP port.
    """
    seen: set[str] = set()

    # Without a framework, so that the server takes little time.
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        job_id = cast("str", scope["path"]).rpartition("/")[2]
        status = "completed" if job_id in seen else "queued"
        seen.add(job_id)
        job = {"job_id": job_id, "task_type": "null", "status": status, "progress": 0}
        await Response(json.dumps(job), media_type="application/json")(scope, receive, send)

    uvicorn.Server(Config(app, port=port, lifespan="off", log_config=None, access_log=False)).run()


def course(jobs: int) -> list[tuple[str, int]]:
    """The order of events: jobs start one by one, a hundred run at a time, and ends are spread evenly.

    Args:
        jobs: The number of jobs.

    Returns:
        The job ID and the progress of each event.
    """
    steps = [
        (number + 20 * step, step, job_id_of(number), progress)
        for number in range(jobs)
        for step, progress in enumerate(_PROGRESS)
    ]
    return [(job_id, progress) for _, _, job_id, progress in sorted(steps)]


async def announce_jobs(broker_url: str, jobs: int, events_per_second: int) -> None:
    """Publish the events of all jobs.

    Args:
        broker_url: The URL of the broker.
        jobs: The number of jobs.
        events_per_second: The rate.
    """
    announced: dict[str, int] = {}
    publisher = Publisher(BrokerAddress.parse(broker_url))
    publisher.start()
    await publisher.wait_connected(10)
    await asyncio.to_thread(sys.stdin.readline)
    begin = time.monotonic()
    for number, (job_id, progress) in enumerate(course(jobs)):
        wait = begin + number / events_per_second - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        status = "completed" if progress == _COMPLETED else "processing"
        event = {"job_id": job_id, "event_type": status, "timestamp": 0, "progress": progress}
        if progress == _COMPLETED:
            announced[job_id] = time.monotonic_ns()
        publisher.publish(_TOPIC, json.dumps(event).encode(), lasting=status == "completed")
    await publisher.flush(10)
    await publisher.close()
    print(json.dumps(announced), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "http":
        serve_jobs(int(sys.argv[2]))
    else:
        asyncio.run(announce_jobs(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
