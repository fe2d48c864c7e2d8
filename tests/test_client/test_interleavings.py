"""The tracker's promises, whatever comes in whatever order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from cl_client._http.errors import Asked, error_for
from cl_client._jobs.waiting import Waiter, Watcher
from cl_client.exceptions import ClientClosedError, InvalidResponseError, ServerUnavailableError
from patience import within
from tracked_jobs import Server, event, job, tracker_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client._jobs.tracker import JobTracker
    from cl_client.models import JobResponse


def answered(status: int, text: str = "", **headers: str) -> Exception:
    request = httpx.Request("GET", "http://server/jobs/j")
    return error_for(httpx.Response(status, text=text, headers=headers, request=request), Asked.JOB)


READS: dict[str, Callable[[], JobResponse | BaseException]] = {
    "queued": lambda: job("queued"),
    "processing": lambda: job("processing", 30),
    "on hold": lambda: job("on hold", 10),
    "completed": lambda: job("completed", 100),
    "error": lambda: job("error", 40),
    "down": lambda: ServerUnavailableError("down"),
    "busy": lambda: answered(503, **{"Retry-After-Ms": "20"}),
    "refused": lambda: answered(401),
    "no job": lambda: InvalidResponseError("a login page"),
    "cancelled": asyncio.CancelledError,
    "gone": lambda: answered(404, '{"detail": "Job j not found"}'),
}
WORDS = ("queued", "processing", "in_progress", "completed", "error", "nonsense")
ENDS = {"completed": "completed", "error": "failed", "gone": "deleted", "refused": None}
"""The last read, and the status of the end that is told; None for an error."""


class Subscriber:
    """Keeps account of what it is told, and may do something in its callbacks."""

    def __init__(self, tracker: JobTracker, act: Callable[[], object]) -> None:
        self.tracker, self.act = tracker, act
        self.left = False
        self.told: list[tuple[str, int]] = []
        self.ends: list[str | None] = []
        self.broken: list[str] = []
        self.done = asyncio.Event()
        self.subscription = self.subscribe()

    def subscribe(self) -> str:
        return self.tracker.subscribe("j", self.progress, self.complete, self.error)

    def progress(self, told: JobResponse) -> None:
        self._hear()
        self.told.append((told.status.value, told.progress))
        self.act()

    def complete(self, told: JobResponse) -> None:
        self._end(told.status.value)

    def error(self, error: Exception) -> None:
        assert error
        self._end(None)

    def leave(self) -> None:
        self.tracker.unsubscribe(self.subscription)
        self.left = True
        self.done.set()

    def _end(self, end: str | None) -> None:
        self._hear()
        self.ends.append(end)
        self.done.set()
        self.act()

    def _hear(self) -> None:
        if self.left or self.ends:
            self.broken.append(f"told after {'leaving' if self.left else 'the end'}")


class SlowSubscriber(Subscriber):
    """Alike, with coroutines."""

    @override
    def subscribe(self) -> str:
        async def progress(told: JobResponse) -> None:
            await asyncio.sleep(0)
            if not self.left:  # while it runs, it may leave
                self.progress(told)

        async def complete(told: JobResponse) -> None:
            await asyncio.sleep(0)
            if not self.left:
                self.complete(told)

        return self.tracker.subscribe("j", progress, complete, self.error)


class Play:
    """One tracker, who follows its job, and what happens to it."""

    def __init__(self, reads: list[str], end: str) -> None:
        self.tracker = tracker_of(Server(*(READS[word]() for word in reads), READS[end]()).read)
        self.subscribers: list[Subscriber] = []
        self.waiters: list[Waiter] = []
        self.watchers: list[Watcher] = []
        self.watched: list[Watcher] = []
        self.closing: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()
        self.actions: dict[str, Callable[[int], object]] = {
            "follow": lambda _: self.follow(lambda: None),
            "follow slowly": lambda _: self.follow(lambda: None, SlowSubscriber),
            "follow and meddle": lambda place: self.follow(lambda: self.leave(place)),
            "follow and fail": lambda _: self.follow(lambda: 1 // 0),
            "follow and close": lambda _: self.follow(self.close),
            "leave": self.leave,
            "wait": lambda _: self.wait(),
            "wait for a new one": lambda _: self.wait(job("queued")),
            "watch": lambda _: self.watch(),
            "give up": lambda _: self.give_up(),
            "reconcile": lambda _: self.tracker.reconcile(),
            "worker idle": lambda _: self.tracker.on_worker_idle({"hash"}, 0.0),
            "push lost": lambda _: self.tracker.on_push_lost(),
            "push live": lambda _: self.tracker.on_push_live(),
            "deleted": lambda _: self.tracker.on_deleted("j"),
            "close": lambda _: self.close(),
        }

    async def do(self, kind: str, number: int) -> None:
        """An action, an event, or a turn of the loop."""
        if kind == "turn":
            await asyncio.sleep(0)
        elif kind in WORDS:
            self.tracker.on_event(event(kind, number))
        elif self.closing is None:
            self.actions[kind](number)

    def follow(self, act: Callable[[], object], kind: type[Subscriber] = Subscriber) -> None:
        self.subscribers.append(kind(self.tracker, act))

    def leave(self, place: int) -> None:
        if self.subscribers:
            self.subscribers[place % len(self.subscribers)].leave()

    def wait(self, submitted: JobResponse | None = None) -> None:
        self.waiters.append(Waiter(0.02))
        self.tracker.follow("j", self.waiters[-1], submitted=submitted, fresh=submitted is not None)

    def watch(self) -> None:
        self.watchers.append(Watcher())
        self.tracker.follow("j", self.watchers[-1])

    def give_up(self) -> None:
        if self.waiters:
            waiter = self.waiters.pop()
            self.tracker.unfollow(waiter)
            waiter.ended.cancel()

    def close(self) -> None:
        if self.closing is None:
            self.closing = asyncio.create_task(self.tracker.close())
            self.closed.set()

    async def the_end(self) -> None:
        """Wait until everybody has been told, or nobody will be any more."""
        ends = [
            *(subscriber.done.wait() for subscriber in self.subscribers),
            *(asyncio.wait([waiter.ended]) for waiter in self.waiters),
            *(self._watch(watcher) for watcher in self.watchers),
        ]
        told, closed = asyncio.gather(*ends), asyncio.ensure_future(self.closed.wait())
        async with within():
            await asyncio.wait([told, closed], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        closed.cancel()
        if self.closing is not None:
            await self.closing
        await asyncio.gather(told, closed, return_exceptions=True)

    async def _watch(self, watcher: Watcher) -> None:
        while True:
            update = await watcher.updates.get()
            assert watcher not in self.watched
            if isinstance(update, Exception) or update.status.is_terminal:
                self.watched.append(watcher)
                return

    def check(self, end: str | None) -> None:
        """Nobody may have been told anything but the truth, once, and all of it."""
        for subscriber in self.subscribers:
            assert not subscriber.broken
            percents = [progress for _, progress in subscriber.told]
            assert percents == sorted(percents)
            assert len(set(subscriber.told)) == len(subscriber.told)
            assert self.closing or subscriber.left or subscriber.ends == [end]
        for waiter in self.waiters:
            assert waiter.ended.done()
            assert self.closing or not isinstance(waiter.ended.exception(), ClientClosedError)
        assert self.closing or all(watcher.updates.empty() for watcher in self.watchers)
        assert self.tracker.followed == 0


ACTIONS = (
    *("follow", "follow slowly", "follow and meddle", "follow and fail", "leave"),
    *("wait", "wait for a new one", "watch", "give up"),
    *("reconcile", "worker idle", "push lost", "push live", "deleted"),
    *("turn", "turn", "turn"),
    *WORDS,
)
CLOSING = ("follow and close", "close")


@settings(max_examples=200, deadline=None)
@given(
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 100)), max_size=30),
    last=st.sampled_from((*CLOSING, "turn", "turn")),
    more=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 100)), max_size=8),
    reads=st.lists(st.sampled_from(sorted(READS.keys() - ENDS.keys() | {"refused"})), max_size=8),
    end=st.sampled_from(sorted(ENDS)),
)
def test_any_interleaving_keeps_the_promises(
    actions: list[tuple[str, int]], last: str, more: list[tuple[str, int]], reads: list[str], end: str
) -> None:
    async def play() -> None:
        stage = Play(reads, end)
        with stage.tracker.submitting():
            await stage.do("processing", 5)  # before anybody follows
            for kind, number in [*actions, (last, 0), ("follow", 0), *more]:
                await stage.do(kind, number)
        await stage.the_end()
        for late in ("processing", "completed", *["turn"] * 5):
            await stage.do(late, 99)
        stage.check(ENDS[end])
        await stage.tracker.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(play())
