"""The two halves of a server that only replays jobs, each a process of its own so that none slows the other.

``http PORT`` reads jobs: queued at the first look, completed from then on. ``events URL JOBS RATE`` lets
jobs get on and end at a steady rate of events, once a line comes on stdin, and prints when each end was
announced, in nanoseconds of the clock that all processes share.
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
    """The ids of the jobs, which all sides know."""
    return f"00000000-0000-4000-8000-{number:012d}"


def serve_jobs(port: int) -> None:
    """Serve until killed."""
    seen: set[str] = set()

    # Without a framework, so that little of what is measured is the server's.
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        job_id = cast("str", scope["path"]).rpartition("/")[2]
        status = "completed" if job_id in seen else "queued"
        seen.add(job_id)
        job = {"job_id": job_id, "task_type": "null", "status": status, "progress": 0}
        await Response(json.dumps(job), media_type="application/json")(scope, receive, send)

    uvicorn.Server(Config(app, port=port, lifespan="off", log_config=None, access_log=False)).run()


def course(jobs: int) -> list[tuple[str, int]]:
    """Jobs begin one after the other, a hundred are under way at once, and ends come evenly spread."""
    steps = [
        (number + 20 * step, step, job_id_of(number), progress)
        for number in range(jobs)
        for step, progress in enumerate(_PROGRESS)
    ]
    return [(job_id, progress) for _, _, job_id, progress in sorted(steps)]


async def announce_jobs(broker_url: str, jobs: int, events_per_second: int) -> None:
    """Let all jobs run to their ends."""
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
