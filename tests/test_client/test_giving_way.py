"""Submits give way to the reads of ends: in order, not for long, and not without end."""

from __future__ import annotations

import asyncio
import json

import pytest

from cl_client import ClientClosedError, JobResponse, ServerUnavailableError
from cl_client._jobs.reader import JobReader, ReadReason
from cl_client._mqtt.types import MQTTMessage
from cl_client.testing import StubServer, http_response
from patience import SECONDS, soon


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Crossing:
    """A reader with one place, taken by the read of an end that a test lets go on, and submits that wait."""

    def __init__(self) -> None:
        self.jobs = JobReader(self._fetch, limit=1, cache_size=0)
        self.gone: list[str] = []
        self.submits: dict[str, asyncio.Task[None]] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._away = False
        for job_id in ("first", "second"):
            self.expect(job_id)

    def expect(self, job_id: str) -> None:
        """An event has told the end of this job, which is read now."""
        self._gates[job_id] = asyncio.Event()
        self.jobs.ask(job_id, ReadReason.ENDING)

    async def read(self, *job_ids: str) -> None:
        for job_id in job_ids:
            self._gates[job_id].set()
        await settle()

    async def lose(self, job_id: str) -> None:
        """There is no server any more, as the read of this job finds out."""
        self._away = True
        await self.read(job_id)

    async def submit(self, *names: str) -> None:
        for name in names:
            self.submits[name] = asyncio.create_task(self._submit(name))
        await settle()

    async def _submit(self, name: str) -> None:
        await self.jobs.give_way()
        self.gone.append(name)

    async def _fetch(self, job_id: str) -> JobResponse:
        await self._gates[job_id].wait()
        if self._away:
            error = ServerUnavailableError("nobody there")
            error.may_have_been_accepted = False
            raise error
        return JobResponse.model_validate({"job_id": job_id, "task_type": "hash", "status": "completed"})

    async def over(self) -> None:
        await self.jobs.close()
        await soon(asyncio.gather(*self.submits.values(), return_exceptions=True))


async def test_submits_go_in_order_when_no_end_waits() -> None:
    crossing = Crossing()
    await crossing.submit("a", "b", "c")
    assert crossing.gone == []
    await crossing.read("first")
    assert crossing.gone == ["a", "b", "c"]  # the second one is being read: it waits no longer
    await crossing.submit("d")
    assert crossing.gone[3:] == ["d"]
    await crossing.over()


async def test_one_that_comes_late_does_not_overtake() -> None:
    crossing = Crossing()
    await crossing.submit("a", "b")
    crossing.submits["c"] = asyncio.create_task(crossing.read("first"))
    await asyncio.wait([crossing.submits["a"]], timeout=SECONDS)
    await crossing.submit("late")
    assert crossing.gone == ["a", "b", "late"]
    await crossing.over()


async def test_one_that_is_cancelled_holds_up_nobody() -> None:
    crossing = Crossing()
    await crossing.submit("a", "b", "c")
    crossing.submits["a"].cancel()
    await settle()
    crossing.submits["b"].cancel()
    await crossing.read("first")  # it is b's turn, which is cancelled at that moment
    assert crossing.gone == ["c"]
    await crossing.over()


async def test_a_server_that_hangs_holds_up_nobody_for_long() -> None:
    crossing = Crossing()
    await crossing.submit("a", "b")
    await soon(asyncio.gather(*crossing.submits.values()))
    assert sorted(crossing.gone) == ["a", "b"]
    await crossing.over()


async def test_ends_that_never_stop_coming_hold_up_nobody_for_long() -> None:
    names = (str(number) for number in range(10**9))

    async def fetch(job_id: str) -> JobResponse:
        reader.ask(next(names), ReadReason.ENDING)
        await asyncio.sleep(0.001)
        return JobResponse.model_validate({"job_id": job_id, "task_type": "hash", "status": "completed"})

    reader = JobReader(fetch, limit=1, cache_size=0)
    reader.ask("a", ReadReason.ENDING)
    reader.ask("b", ReadReason.ENDING)
    await soon(asyncio.gather(*(reader.give_way() for _ in range(3))))
    await reader.close()


async def test_the_end_that_waited_is_no_longer_wanted() -> None:
    crossing = Crossing()
    await crossing.submit("a")
    crossing.jobs.drop("second")
    await settle()
    assert crossing.gone == ["a"]
    await crossing.over()


async def test_an_end_that_comes_when_a_submit_is_to_go_on() -> None:
    crossing = Crossing()
    await crossing.submit("a")
    crossing.jobs.drop("second")
    crossing.expect("third")
    await settle()
    assert crossing.gone == []
    await crossing.read("first")
    assert crossing.gone == ["a"]
    await crossing.over()


async def test_submits_go_on_in_one_iteration_of_the_loop_each() -> None:
    crossing = Crossing()
    await crossing.submit("a", "b", "c")
    crossing.jobs.drop("second")
    crossing.jobs.drop("second")
    seen = {0}
    for _ in range(20):
        await asyncio.sleep(0)
        seen.add(len(crossing.gone))
    assert seen == {0, 1, 2, 3}
    await crossing.over()


@pytest.mark.parametrize("away", [False, True])
async def test_closing_lets_all_go(*, away: bool) -> None:
    crossing = Crossing()
    await crossing.submit("a", "b")
    if away:
        await crossing.lose("first")
    await crossing.jobs.close()
    await settle()
    assert crossing.gone == ["a", "b"]
    await crossing.over()


async def test_a_submit_that_gives_way_is_told_of_the_closing() -> None:
    queued = http_response("200 OK", '{"job_id": "j", "task_type": "hash", "status": "queued"}')
    server = StubServer(None, files={"hash": queued})
    async with server.running(max_concurrent_reads=1) as client:
        for job_id in ("a", "b"):
            client.subscribe_job_updates(job_id)
            ended = {"job_id": job_id, "event_type": "completed", "timestamp": 1, "progress": 100}
            event = MQTTMessage(client.config.events_topic, json.dumps(ended).encode(), retain=False)
            client.mqtt_monitor.dispatch([event])
        submitting = asyncio.ensure_future(client.hash.compute(b"x"))
        await server.received(1)
        assert not submitting.done()
        await client.close()
        with pytest.raises(ClientClosedError):
            await soon(submitting)
    assert len(server.requests) == 1
