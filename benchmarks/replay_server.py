"""A server that only announces: jobs get on and end at a fixed pace of events, and can be read over HTTP.

Every completed job holds the moment at which its end was announced, on the clock that all processes share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI, Response
from uvicorn.config import Config

from cl_client.local.broker import EmbeddedBroker
from cl_client.local.listener import bind_listener, url_of
from cl_client.mqtt_address import BrokerAddress
from cl_client.mqtt_connection import MQTTConnection

if TYPE_CHECKING:
    from cl_client.models import JSONObject

PROGRESS = (0, 25, 50, 75)
EVENTS_PER_JOB = len(PROGRESS) + 1
_TOPIC = "inference/events"


class Replay:
    """The jobs, and their course."""

    def __init__(self, jobs: int, connection: MQTTConnection) -> None:
        self._jobs: dict[str, JSONObject] = {
            job_id_of(number): {
                "job_id": job_id_of(number),
                "task_type": "null",
                "status": "queued",
                "progress": 0,
            }
            for number in range(jobs)
        }
        self._connection = connection

    async def read(self, job_id: str) -> Response:
        """A job as it is now."""
        return Response(json.dumps(self._jobs[job_id]), media_type="application/json")

    async def run(self, events_per_second: int) -> None:
        """Let all jobs run to their ends."""
        begin = time.monotonic()
        for number, (job_id, progress) in enumerate(self._course()):
            wait = begin + number / events_per_second - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self._announce(job_id, progress)

    def _course(self) -> list[tuple[str, int]]:
        """Jobs begin one after the other, a hundred are under way at once, and ends come evenly spread."""
        steps = [
            (number + 20 * step, step, job_id, progress)
            for number, job_id in enumerate(self._jobs)
            for step, progress in enumerate((*PROGRESS, 100))
        ]
        return [(job_id, progress) for _, _, job_id, progress in sorted(steps)]

    def _announce(self, job_id: str, progress: int) -> None:
        status = "completed" if progress == 100 else "processing"  # noqa: PLR2004 - percent
        job = self._jobs[job_id]
        job |= {"status": status, "progress": progress, "task_output": {"announced": time.monotonic_ns()}}
        event = {
            "job_id": job_id,
            "event_type": status,
            "timestamp": time.time_ns() // 10**6,
            "progress": progress,
        }
        self._connection.publish(_TOPIC, json.dumps(event).encode())


def job_id_of(number: int) -> str:
    """The ids of the jobs, which both sides know."""
    return f"00000000-0000-4000-8000-{number:012d}"


async def serve(jobs: int, events_per_second: int, broker_url: str) -> None:
    """Print the addresses, wait for a line, let the jobs run, and end with stdin."""
    async with AsyncExitStack() as stack:
        if not broker_url:
            listener = stack.enter_context(bind_listener("127.0.0.1", 0, "broker"))
            broker = EmbeddedBroker(listener)
            await broker.start()
            stack.push_async_callback(broker.stop)
            broker_url = url_of("mqtt", listener)
        connection = MQTTConnection(BrokerAddress.parse(broker_url))
        connection.start()
        stack.push_async_callback(connection.close)
        replay = Replay(jobs, connection)
        http = stack.enter_context(bind_listener("127.0.0.1", 0, "HTTP"))
        app = FastAPI()
        app.add_api_route("/jobs/{job_id}", replay.read, response_model=None)
        server = uvicorn.Server(Config(app, lifespan="off", log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve(sockets=[http]))
        print(json.dumps([url_of("http", http), broker_url]), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await replay.run(events_per_second)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
