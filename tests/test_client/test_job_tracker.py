"""The tracker's promises, with news in any order."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from cl_client._http.errors import error_for
from cl_client._jobs.reader import ReadReason
from cl_client._jobs.tracker import JobTracker
from cl_client._jobs.waiting import Waiter, Watcher
from cl_client.config import ComputeClientConfig
from cl_client.exceptions import ClientClosedError, ServerUnavailableError
from cl_client.models import JobEvent, JobResponse, JobStatus
from followers import Log
from patience import soon, within
from tracked_jobs import CONFIG, IDLE_CONFIG, Server, event, job, reader_of, tracker_of


async def test_a_subscription_reconciles_with_one_read() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete)
    await soon(log.done.wait())
    assert server.reads == 1
    assert [ended.status for ended in log.ended] == ["completed"]
    assert tracker.followed == 0
    await tracker.close()


async def test_a_fresh_job_needs_one_read_only() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_event(event("processing", 40))
    tracker.on_event(event("processing", 20))
    tracker.on_event(event("queued", 0))
    tracker.on_event(event("completed", 100))
    tracker.on_event(event("completed", 100))
    await soon(log.done.wait())
    assert log.told == [("queued", 0), ("processing", 40)]
    assert server.reads == 1
    await tracker.close()


async def test_events_before_the_submit_call_returned() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    with tracker.submitting():
        tracker.on_event(event("completed", 100))
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await soon(log.done.wait())
    assert server.reads == 1
    await tracker.close()


async def test_a_job_that_ended_before_its_submit_was_answered_is_read_in_full() -> None:
    full = job("completed", 100).model_copy(update={"task_output": {"media_type": "image"}})
    server, log, waiter = Server(full), Log(), Waiter()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("completed"), fresh=True)
    tracker.follow("j", waiter, submitted=job("completed"), fresh=True)
    assert await soon(waiter.ended) == full
    assert await log.the_end() == full
    assert server.reads == 1
    await tracker.close()


async def test_a_failure_without_event_is_found_when_the_worker_turns_idle() -> None:
    server, log = Server(job("error")), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    busy_since = asyncio.get_running_loop().time()
    tracker.on_event(event("processing"))
    tracker.on_worker_idle({"exif"}, busy_since)
    tracker.on_worker_idle({"hash"}, busy_since + 1000)
    for _ in range(10):
        await asyncio.sleep(0)  # what was asked for would be read now
    assert server.reads == 0
    tracker.on_worker_idle({"hash"}, busy_since)
    await soon(log.done.wait())
    assert log.ended[0].status == "failed"
    await tracker.close()


async def test_an_ending_whose_read_comes_too_early_is_read_again() -> None:
    unavailable = ServerUnavailableError("down")
    server, log = (
        Server(job("processing", 50), unavailable, job("processing", 50), job("completed", 100)),
        Log(),
    )
    tracker = tracker_of(server.read)
    tracker.subscribe("j", log.progress, log.complete)
    tracker.on_event(event("completed", 100))
    await soon(log.done.wait())
    assert [ended.progress for ended in log.ended] == [100]
    await tracker.close()


async def test_unsubscribing_in_a_callback_leaves_the_neighbour() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    ids: list[str] = []

    def leave(_news: JobResponse) -> None:
        tracker.unsubscribe(ids[0])
        tracker.unsubscribe(ids[0])

    def fail(_news: JobResponse) -> None:
        raise RuntimeError("a fault of the application")

    ids.append(tracker.subscribe("j", leave, log.complete, submitted=job("queued"), fresh=True))
    tracker.subscribe("j", fail, fail)
    other = Log()
    tracker.subscribe("j", other.progress, other.complete)
    await soon(other.done.wait())
    assert not log.ended
    assert len(other.ended) == 1
    await tracker.close()


async def test_slow_coroutines_keep_their_order_and_hold_up_nobody() -> None:
    server = Server(job("completed", 100))
    tracker = tracker_of(server.read, IDLE_CONFIG)
    gate, order, done = asyncio.Event(), list[str](), asyncio.Event()

    async def slow(news: JobResponse) -> None:
        if news.status is JobStatus.QUEUED:
            await gate.wait()
        order.append(news.status.value)
        if news.status.is_terminal:
            done.set()

    quick = Log()
    tracker.subscribe("j", slow, slow, submitted=job("queued"), fresh=True)
    tracker.subscribe("j", quick.progress, quick.complete)
    await soon(quick.done.wait())
    assert order == []
    gate.set()
    await soon(done.wait())
    assert order == ["queued", "completed"]
    await tracker.close()


async def test_close_ends_a_callback_that_hangs() -> None:
    tracker = tracker_of(Server(job("completed", 100)).read, IDLE_CONFIG)
    entered = asyncio.Event()

    async def hang(_news: JobResponse) -> None:
        entered.set()
        await asyncio.Event().wait()

    tracker.subscribe("j", None, hang)
    await soon(entered.wait())
    await soon(tracker.close())
    assert len(asyncio.all_tasks()) == 1


async def test_lost_push_and_reconciling_read_again() -> None:
    server, log = Server(job("processing", 10)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_push_lost()
    for reads in (1, 2):
        tracker.reconcile()
        tracker.reconcile()
        for _ in range(10):
            await asyncio.sleep(0)
        assert server.reads == reads
    assert log.told == [("queued", 0), ("processing", 10)]
    await tracker.close()


async def test_following_after_close_is_refused() -> None:
    tracker = tracker_of(Server(job("queued")).read)
    await tracker.close()
    with pytest.raises(Exception, match="closed"):
        tracker.subscribe("j", None, None)


async def test_whoever_waits_is_told_that_the_client_was_closed() -> None:
    tracker = tracker_of(Server(job("processing", 10)).read, IDLE_CONFIG)
    waiter, watcher, log = Waiter(), Watcher(), Log()
    tracker.follow("j", waiter)
    tracker.follow("j", watcher)
    tracker.subscribe("j", None, log.complete)
    await tracker.close()
    with pytest.raises(ClientClosedError, match="no longer follows job j"):
        await waiter.ended
    assert isinstance(await watcher.updates.get(), ClientClosedError)
    assert not log.ended


async def test_a_404_that_is_not_about_the_job_does_not_end_it() -> None:
    request = httpx.Request("GET", "http://server/jobs/j")
    of_a_proxy = error_for(httpx.Response(404, text="<html>nothing here</html>", request=request))
    server, log, waiter = Server(of_a_proxy, of_a_proxy, job("completed", 100)), Log(), Waiter()
    tracker = tracker_of(server.read)
    tracker.subscribe("j", None, log.complete)
    tracker.follow("j", waiter)
    assert (await soon(waiter.ended)).status == "completed"
    assert [ended.status for ended in log.ended] == ["completed"]
    await tracker.close()


async def test_a_false_word_of_its_end_is_survived_and_a_true_one_heard() -> None:
    server, log = Server(job("processing", 10), job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_event(event("completed", 100))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not log.ended
    tracker.on_event(event("completed", 100))
    await soon(log.done.wait())
    await tracker.close()


async def test_a_callback_that_is_cancelled_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)

    def cancelled(_news: JobResponse) -> None:
        raise asyncio.CancelledError

    async def cancelled_later(_news: JobResponse) -> None:
        raise asyncio.CancelledError

    for callback in (cancelled, cancelled_later):
        tracker.subscribe("j", callback, callback)
    tracker.subscribe("j", log.progress, log.complete)
    await soon(log.done.wait())
    for _ in range(5):
        await asyncio.sleep(0)
    assert caplog.text.count("a callback was cancelled") == 2
    await tracker.close()


async def test_thousands_that_are_queued_are_not_read_while_push_would_tell_of_them() -> None:
    names, read = [f"j{number}" for number in range(1000)], list[str]()
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def fetch(job_id: str) -> JobResponse:
        read.append(job_id)
        return job("completed", 100).model_copy(update={"job_id": job_id})

    tracker = tracker_of(fetch, ComputeClientConfig(poll_min=0.05, poll_interval=0.05))
    for name in names:
        queued = job("queued").model_copy(update={"job_id": name})
        tracker.subscribe(
            name, None, lambda done: ended.put_nowait(done.job_id), submitted=queued, fresh=True
        )
    await asyncio.sleep(0)
    tracker.on_event(JobEvent(job_id="j7", event_type="processing"))
    assert await soon(ended.get()) == "j7"
    assert read == ["j7"]
    tracker.on_push_lost()
    async with within():
        others = {await ended.get() for _ in names[1:]}
    assert others == {*names} - {"j7"}
    await tracker.close()


async def test_a_worker_that_was_busy_later_does_not_run_the_job() -> None:
    """It is no news of when a job began to run that it goes on."""
    server = Server(job("completed", 100))
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", None, None, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_event(event("processing", 10))
    busy_since = asyncio.get_running_loop().time()
    tracker.on_event(event("processing", 20))
    tracker.on_worker_idle({"hash"}, busy_since)
    for _ in range(10):
        await asyncio.sleep(0)
    assert server.reads == 0
    await tracker.close()


async def test_a_worker_may_have_ended_a_job_of_an_unknown_task() -> None:
    server, log = Server(job("error")), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    unnamed = job("queued").model_copy(update={"task_type": ""})
    tracker.subscribe("j", log.progress, log.complete, submitted=unnamed, fresh=True)
    await asyncio.sleep(0)
    busy_since = asyncio.get_running_loop().time()
    tracker.on_event(event("processing"))
    tracker.on_worker_idle({"exif"}, busy_since)
    assert (await log.the_end()).status == "failed"
    assert server.reads == 1
    await tracker.close()


async def test_progress_keeps_the_server_s_word() -> None:
    told: list[JobResponse] = []
    tracker = tracker_of(Server(job("completed", 100)).read, IDLE_CONFIG)
    tracker.subscribe("j", told.append, None, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_event(event("in_progress", 40))
    await asyncio.sleep(0)
    assert [(one.raw_status, one.status.value, one.progress) for one in told] == [
        ("queued", "queued", 0),
        ("in_progress", "processing", 40),
    ]
    await tracker.close()


async def test_push_that_comes_and_goes() -> None:
    server, log = Server(job("processing"), job("completed", 100)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.on_push_lost()
    assert tracker.push.connected is False
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_push_live()
    assert tracker.push.connected is True
    await log.was_told("processing", 0)
    assert server.reads == 1
    await tracker.close()


async def test_an_end_that_is_told_twice_is_read_once() -> None:
    server, log = Server(job("processing", 10)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_event(event("completed", 100))
    await asyncio.sleep(0)
    assert server.reads == 1  # it goes on
    tracker.on_event(event("completed", 100))
    await log.was_told("processing", 10)
    for _ in range(10):
        await asyncio.sleep(0)
    assert server.reads == 1
    await tracker.close()


async def test_reads_go_on_after_events() -> None:
    server, log = Server(job("completed", 100)), Log()
    tracker = tracker_of(server.read)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_event(event("processing", 10))
    tracker.on_event(event("processing", 20))
    await log.the_end()
    assert log.told == [("queued", 0), ("processing", 10), ("processing", 20)]
    await tracker.close()


async def test_a_read_goes_on_from_an_event() -> None:
    server, log = Server(job("processing", 30)), Log()
    tracker = tracker_of(server.read, IDLE_CONFIG)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    tracker.on_event(event("processing", 20))
    tracker.reconcile()
    await log.was_told("processing", 30)
    await tracker.close()


async def test_reads_go_on_after_a_worker_turned_idle() -> None:
    server, log = Server(job("processing", 10), job("completed", 100)), Log()
    reader = reader_of(server.read)
    tracker = JobTracker(reader, CONFIG)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    await asyncio.sleep(0)
    busy_since = asyncio.get_running_loop().time()
    tracker.on_event(event("processing"))
    tracker.on_worker_idle({"hash"}, busy_since)
    await log.the_end()
    assert reader.counts == {ReadReason.WORKER_IDLE: 1, ReadReason.SAFETY_NET: 1}
    await tracker.close()


async def test_a_server_that_does_not_tell_the_task() -> None:
    unnamed = job("completed", 100).model_copy(update={"task_type": ""})
    log = Log()
    tracker = tracker_of(Server(unnamed).read)
    tracker.subscribe("j", log.progress, log.complete, submitted=job("queued"), fresh=True)
    assert (await log.the_end()).task_type == "hash"
    await tracker.close()


async def test_the_last_known_state() -> None:
    log = Log()
    tracker = tracker_of(Server(job("processing", 10)).read, IDLE_CONFIG)
    assert tracker.last_known("j") is None
    tracker.subscribe("j", log.progress, log.complete)
    assert tracker.last_known("j") is None
    await log.was_told("processing", 10)
    known = tracker.last_known("j")
    assert known is not None
    assert known.progress == 10
    await tracker.close()
    assert tracker.last_known("j") is None
