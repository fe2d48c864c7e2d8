"""Who is told what: those who come late, and those who have left."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from cl_client._core.callback_queue import CallbackQueue
from cl_client._core.owned_tasks import OwnedTasks
from cl_client._jobs.waiting import Waiter, Watcher
from cl_client.exceptions import InvalidParameterError
from cl_client.models import JobResponse
from followers import Log
from patience import soon
from tracked_jobs import IDLE_CONFIG, Server, event, job, tracker_of

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def test_whoever_comes_late_is_told_the_present_state_once() -> None:
    server, first, second = Server(job("processing", 40)), Log(), Log()
    tracker, watcher = tracker_of(server.read, IDLE_CONFIG), Watcher()
    tracker.subscribe("j", first.progress, first.complete)
    await first.was_told("processing")
    tracker.subscribe("j", second.progress, second.complete)
    tracker.follow("j", watcher)
    assert second.told == []  # not inside the call, whose caller does not have the id yet
    await second.was_told("processing")
    tracker.on_event(event("processing", 60))
    updates = [await soon(watcher.updates.get()) for _ in range(2)]
    assert [update.progress for update in updates if isinstance(update, JobResponse)] == [40, 60]
    assert first.told == second.told == [("processing", 40), ("processing", 60)]
    await tracker.close()


async def test_news_that_overtake_the_present_state_are_told_alone() -> None:
    server, first, second = Server(job("processing", 40)), Log(), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", first.progress, first.complete)
    await first.was_told("processing")
    tracker.subscribe("j", second.progress, second.complete)
    tracker.on_event(event("processing", 60))
    await asyncio.sleep(0)
    assert second.told == [("processing", 60)]
    await tracker.close()


async def test_whoever_comes_while_the_end_is_read_hears_of_it_once() -> None:
    server, first, second = Server(job("processing", 40), job("completed", 100)), Log(), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", first.progress, first.complete)
    await first.was_told("processing")
    tracker.on_event(event("completed", 100))
    tracker.subscribe("j", second.progress, second.complete)
    await first.the_end()
    await second.the_end()
    assert first.told == second.told == [("processing", 40)]
    assert tracker.followed == 0
    await tracker.close()


async def test_whoever_left_before_its_turn_is_told_nothing() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    ids: list[str] = []
    left = asyncio.Event()

    def end_the_other(_job: JobResponse) -> None:
        tracker.unsubscribe(ids[1])
        left.set()

    ids.append(tracker.subscribe("j", None, end_the_other))
    ids.append(tracker.subscribe("j", None, log.complete))
    await soon(left.wait())
    await asyncio.sleep(0)
    assert log.ended == []
    await tracker.close()


async def test_whoever_left_is_not_called_though_its_coroutine_was_made() -> None:
    server, started, other = Server(job("completed", 100)), list[JobResponse](), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)

    async def late(news: JobResponse) -> None:
        started.append(news)

    def end_the_other(news: JobResponse) -> None:
        tracker.unsubscribe(late_id)
        other.complete(news)

    late_id = tracker.subscribe("j", None, late)
    tracker.subscribe("j", None, end_the_other)
    await other.the_end()
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    assert started == []
    await tracker.close()


async def test_a_callback_that_leaves_may_still_return_what_is_awaited() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)

    async def complete(news: JobResponse) -> None:
        log.complete(news)

    def leave(news: JobResponse) -> Awaitable[None]:
        tracker.unsubscribe(own_id)
        return complete(news)

    own_id = tracker.subscribe("j", None, leave)
    await log.the_end()
    await tracker.close()


async def test_closing_drops_a_coroutine_that_was_made_and_not_started() -> None:
    tasks, started = OwnedTasks(), list[str]()

    async def late(news: str) -> None:
        started.append(news)

    CallbackQueue("j", tasks).deliver(late, "news")
    await tasks.cancel()
    assert started == []  # and a coroutine that was never awaited would fail this test


async def test_a_callback_that_is_due_just_when_the_one_before_has_ended_runs() -> None:
    tasks = OwnedTasks()
    queue = CallbackQueue("j", tasks)
    told: list[str] = []
    over = asyncio.Event()

    async def first(_: str) -> None:
        # This runs after the end of the task that runs this, and before whatever that task's end calls.
        asyncio.get_running_loop().call_soon(queue.deliver, second, "the end")

    async def second(news: str) -> None:
        told.append(news)
        over.set()

    queue.deliver(first, "progress")
    await soon(over.wait())
    assert told == ["the end"]
    await tasks.cancel()


async def test_whoever_left_is_not_told_what_lined_up() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    entered, gate, other = asyncio.Event(), asyncio.Event(), Log()

    async def slow(_job: JobResponse) -> None:
        entered.set()
        await gate.wait()

    slow_id = tracker.subscribe("j", slow, log.complete, submitted=job("queued"), fresh=True)
    tracker.subscribe("j", None, other.complete)
    await soon(entered.wait())
    await other.the_end()
    tracker.unsubscribe(slow_id)
    tracker.unsubscribe(slow_id)
    gate.set()
    running = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*running)
    assert log.ended == []
    await tracker.close()


async def test_whoever_stays_is_told_what_lined_up() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    gate, other = asyncio.Event(), Log()

    async def slow(_job: JobResponse) -> None:
        await gate.wait()

    slow_id = tracker.subscribe("j", slow, log.complete, submitted=job("queued"), fresh=True)
    tracker.subscribe("j", None, other.complete)
    await other.the_end()
    gate.set()
    await log.the_end()
    tracker.unsubscribe(slow_id)
    await tracker.close()


@pytest.mark.parametrize("job_id", ["", ".", "..", None, "\ud800"])
async def test_what_is_no_id_is_refused_before_anything_is_read(job_id: str) -> None:
    server = Server(job("completed"))
    tracker = tracker_of(server.read)
    with pytest.raises(InvalidParameterError, match="is not a valid job id"):
        tracker.follow(job_id, Watcher())
    assert tracker.followed == server.reads == 0
    await tracker.close()


async def test_a_deletion_of_this_client_is_looked_into_at_once() -> None:
    server, log = Server(job("processing", 10), job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete)
    await log.was_told("processing")
    tracker.on_deleted("another")
    tracker.on_deleted("j")
    await log.the_end()
    assert server.reads == 2
    await tracker.close()


async def test_nothing_is_kept_of_a_subscription_to_an_ended_job() -> None:
    tracker = tracker_of(Server(job("completed", 100)).read, IDLE_CONFIG)
    ended = asyncio.Event()

    def complete(_job: JobResponse) -> None:
        ended.set()

    callback = weakref.ref(complete)
    tracker.subscribe("j", None, complete)
    del complete
    await soon(ended.wait())
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()
    assert callback() is None
    await tracker.close()


async def test_the_most_impatient_listener_sets_the_pause() -> None:
    tracker = tracker_of(Server(job("processing", 10)).read, IDLE_CONFIG)
    patient, impatient = Waiter(500), Waiter(100)
    tracker.subscribe("j", None, None)
    for listener in (patient, impatient):
        tracker.follow("j", listener)
    assert patient.followed is not None
    assert patient.followed.max_interval == 100
    tracker.unfollow(impatient)
    assert patient.followed.max_interval == 500
    await tracker.close()
