"""Brokers that grant the subscription to job events, and deliver none."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

import pytest

from followers import Log
from support import heard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cl_client import ComputeClient
    from cl_client.local import LocalServer
    from support import Mosquitto, ScriptedJobs

    MakeServer = Callable[..., LocalServer]
    MakeClient = Callable[..., ComputeClient]
    MakeMosquitto = Callable[..., Mosquitto]

# Under push nothing is read in the time of a test; without it, soon.
READ_WITHOUT_PUSH = {"poll_min": 600, "poll_interval": 0.1, "poll_interval_push": 600}
LONGER_THAN_EVENTS_TAKE = 1.2


class GuardedBroker:
    """A Mosquitto that lets everybody publish, and nobody read."""

    def __init__(self, make_mosquitto: MakeMosquitto, acl: Path) -> None:
        self._acl = acl
        acl.write_text("topic write inference/#\n")
        self.broker = make_mosquitto(f"allow_anonymous true\nacl_file {acl}")

    def allow(self, rule: str) -> None:
        """Replace the rule; takes effect soon."""
        self._acl.write_text(f"{rule}\n")
        self.broker.signal(signal.SIGHUP)


@pytest.fixture
def guarded(make_mosquitto: MakeMosquitto, tmp_path: Path) -> GuardedBroker:
    return GuardedBroker(make_mosquitto, tmp_path / "acl")


@pytest.mark.skipif(
    not hasattr(signal, "SIGHUP"), reason="this system cannot tell Mosquitto to read its files"
)
async def test_a_broker_whose_acl_lets_nobody_read_events_is_found_out(
    local_server: MakeServer,
    make_client: MakeClient,
    guarded: GuardedBroker,
    scripted_jobs: ScriptedJobs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "cl_client.mqtt")
    server = local_server(mqtt_url=guarded.broker.url, workers=3)
    async with make_client(server, **READ_WITHOUT_PUSH) as client:
        monitor = client.mqtt_monitor
        assert await monitor.wait_connected(20)
        # Three jobs that end with nobody hearing of it, but for waits that look for themselves.
        logs = [Log() for _ in range(3)]
        jobs = [
            await client.submit_job(
                "scripted",
                scripted_jobs.script,
                {},
                {"on_progress": log.progress, "on_complete": log.complete},
            )
            for log in logs
        ]
        running = [await scripted_jobs.started() for _ in jobs]
        assert monitor.is_live
        waits = [client.wait_for_job(job.job_id, poll_interval=LONGER_THAN_EVENTS_TAKE) for job in jobs]
        waiting = asyncio.gather(*waits)
        for log in logs:
            await log.was_told("processing")
        for job in running:
            scripted_jobs.tell(job, "finish")
        await asyncio.wait_for(waiting, 20)
        assert monitor.is_connected
        assert not monitor.is_live

        assert (await client.hash.compute(b"x", wait=True, timeout=20)).status == "completed"
        (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert "topic read inference/events" in warning.getMessage()

        guarded.allow("topic readwrite inference/#")
        with heard("cl_client.mqtt", "arrive again") as again:
            while not again.is_set():  # the broker takes its time to read the file
                await client.hash.compute(b"x", wait=True, timeout=20)
        assert monitor.is_live
        job = await client.hash.compute(b"x", wait=True, timeout=20)
        assert job.status == "completed"
    assert len([record for record in caplog.records if "arrive again" in record.getMessage()]) == 1
