"""What the local server says over MQTT, per generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from cl_client.local import LocalServer
from cl_client.local.generations import Generation  # noqa: TC001 - evaluated by the named tuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.test_local.conftest import Caller, Listener

    from cl_client.local.settings import BrokerChoice
    from cl_client.local.tasks import TaskSpec

SUCCESS = [("queued", 0), ("processing", 0), ("completed", 100)]
PROGRESS = [
    ("queued", 0),
    ("processing", 0),
    ("processing", 10),
    ("processing", 50),
    ("processing", 100),
    ("completed", 100),
]
FAILURE = [("queued", 0), ("processing", 0), ("processing", 30), ("error", 30)]


class Expected(NamedTuple):
    """What a server says of a job that advances, and of one that fails."""

    generation: Generation
    strict_wire: bool
    progress: list[tuple[str, int]]
    failure: list[tuple[str, int]]


@pytest.fixture(scope="module")
def server(scripted: dict[str, TaskSpec], broker_choice: BrokerChoice) -> Iterator[LocalServer]:
    """A server with each of the brokers."""
    with LocalServer(workers=2, extra_tasks=scripted, broker=broker_choice) as running:
        yield running


@pytest.mark.parametrize(
    "expected",
    [
        Expected("A", strict_wire=True, progress=SUCCESS, failure=FAILURE[:2]),
        Expected("A", strict_wire=False, progress=SUCCESS, failure=[*FAILURE[:2], FAILURE[-1]]),
        Expected("B", strict_wire=True, progress=PROGRESS, failure=FAILURE),
        Expected("C", strict_wire=True, progress=PROGRESS, failure=FAILURE),
    ],
)
def test_events_of_a_generation(
    expected: Expected,
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    listen: type[Listener],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    # One worker: when the event of the last job is there, all of those before it are.
    server = LocalServer(
        workers=1, generation=expected.generation, strict_wire=expected.strict_wire, extra_tasks=scripted
    )
    with server, call(server) as caller, listen(server.mqtt_url) as listener:
        succeeding, failing, advancing, last = (
            caller.submit(action=action) for action in ("succeed", "fail", "progress", "succeed")
        )
        eventually(lambda: listener.events(last) == SUCCESS)
        assert listener.events(succeeding) == SUCCESS
        assert listener.events(advancing) == expected.progress
        assert listener.events(failing) == expected.failure
        failed = caller.job(failing)
        assert (failed["status"], failed["progress"]) == ("error", 30)
        assert failed["error_message"] == "photo.jpg: no picture"


def test_an_event_is_flat_and_not_retained(
    caller: Caller, listener: Listener, eventually: Callable[[Callable[[], object]], None]
) -> None:
    job_id = caller.submit()
    eventually(lambda: listener.events(job_id) == SUCCESS)
    event = next(heard for heard in listener.heard if heard.topic == "inference/events")
    assert list(event.body) == ["job_id", "event_type", "timestamp", "progress"]
    assert not event.retained


def test_the_end_is_stored_before_it_is_published(
    caller: Caller, listener: Listener, eventually: Callable[[Callable[[], object]], None]
) -> None:
    for _ in range(10):
        job_id = caller.submit()
        eventually(lambda job_id=job_id: listener.events(job_id)[-1:] == [("completed", 100)])
        assert caller.job(job_id)["status"] == "completed"


def test_deleting_says_nothing(
    caller: Caller, listener: Listener, eventually: Callable[[Callable[[], object]], None]
) -> None:
    deleted = caller.submit()
    eventually(lambda: listener.events(deleted) == SUCCESS)
    caller.http.delete(f"/jobs/{deleted}")
    later = caller.submit()
    eventually(lambda: listener.events(later) == SUCCESS)
    assert listener.events(deleted) == SUCCESS


@pytest.mark.parametrize(("generation", "key"), [("A", "id"), ("B", "worker_id"), ("C", "worker_id")])
def test_worker_announcements(
    generation: Generation,
    key: str,
    listen: type[Listener],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    server = LocalServer(workers=1, generation=generation, poll_interval=0.05, tasks=["hash", "exif"])
    with server, listen(server.mqtt_url) as listener:
        # Busy and idle again at every look for work, though there is none.
        eventually(lambda: len(listener.workers()) > 6)
        live = [heard for heard in listener.workers() if not heard.retained]
        assert len(listener.workers()) - len(live) <= 1
        # A newcomer is told the latest announcement, before or after it hears new ones.
        with listen(server.mqtt_url) as newcomer:
            eventually(lambda: any(heard.retained for heard in newcomer.workers()))
            retained = [heard for heard in newcomer.workers() if heard.retained]
        for heard in (*retained, *live):
            body = heard.body
            assert list(body) == [key, "capabilities", "idle_count", "timestamp"]
            assert heard.topic == f"inference/workers/{body[key]}"
            assert body["capabilities"] == ["hash", "exif"]
        idle_counts = [heard.body["idle_count"] for heard in live]
        assert idle_counts[:4] in ([0, 1, 0, 1], [1, 0, 1, 0])


def test_workers_with_a_poll_interval_look_for_work_only_then(
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    listen: type[Listener],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    server = LocalServer(workers=1, extra_tasks=scripted, poll_interval=3600, heartbeat_interval=0.02)
    with server, call(server) as caller, listen(server.mqtt_url) as listener:
        server.stop_workers()
        first = caller.submit()
        server.start_workers()
        eventually(lambda: listener.events(first)[-1:] == [("completed", 100)])
        # After the job, the worker has looked for work once more, and found none.
        eventually(
            lambda: (
                [heard.body["idle_count"] for heard in listener.workers()[-3:] if heard.payload] == [1, 1, 1]
            )
        )
        job_id = caller.submit()
        beats = len(listener.workers())
        eventually(lambda: len(listener.workers()) > beats + 20)
        assert caller.has_status(job_id, "queued")


def test_workers_with_a_poll_interval_take_job_after_job(
    scripted: dict[str, TaskSpec], call: type[Caller]
) -> None:
    with (
        LocalServer(workers=1, extra_tasks=scripted, poll_interval=3600) as server,
        call(server) as caller,
    ):
        server.stop_workers()
        jobs = [caller.submit() for _ in range(3)]
        server.start_workers()
        assert [caller.outcome(job) for job in jobs] == ["completed"] * 3


def test_idle_is_announced_after_the_end_of_a_job(
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    listen: type[Listener],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    server = LocalServer(workers=1, generation="A", extra_tasks=scripted)
    with server, call(server) as caller, listen(server.mqtt_url) as listener:
        gate = server.data_dir / "gate"
        job_id = caller.submit(action="fail", gate=str(gate))
        eventually(lambda: caller.has_status(job_id, "processing"))

        def last() -> list[object]:
            return [heard.body["idle_count"] for heard in listener.workers()[-1:]]

        eventually(lambda: last() == [0])
        gate.touch()
        eventually(lambda: last() == [1])
        # Where a failure publishes nothing, this is what tells a client to look.
        assert caller.job(job_id)["status"] == "error"


def test_heartbeats_stall_while_a_task_blocks(
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    listen: type[Listener],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    # The free worker says that it is busy whenever it looks for work: here only at the beginning.
    server = LocalServer(workers=2, extra_tasks=scripted, heartbeat_interval=0.02)
    with server, call(server) as caller, listen(server.mqtt_url) as listener:
        gate = server.data_dir / "gate"
        job_id = caller.submit(gate=str(gate))
        eventually(lambda: caller.has_status(job_id, "processing"))

        def beats(idle: int) -> int:
            return sum(heard.body["idle_count"] == idle for heard in listener.workers())

        busy, free = beats(0), beats(1)
        eventually(lambda: beats(1) > free + 20)
        assert beats(0) <= busy + 2
        gate.touch()
        caller.ended(job_id)


def test_a_graceful_stop_takes_the_announcements_back(
    server: LocalServer, listen: type[Listener], eventually: Callable[[Callable[[], object]], None]
) -> None:
    # A broker that outlives the server under test: that of the shared one.
    with listen(server.mqtt_url) as listener:
        with LocalServer(workers=2, mqtt_url=server.mqtt_url, tasks=["hash"]) as guest:
            assert guest.mqtt_url == server.mqtt_url
            eventually(
                lambda: len({h.topic for h in listener.workers() if b'["hash"]' in h.payload}) == 2,
            )
            topics = {heard.topic for heard in listener.workers() if b'["hash"]' in heard.payload}
        eventually(lambda: {h.topic for h in listener.workers() if not h.payload} == topics)
    with listen(server.mqtt_url) as newcomer:
        eventually(lambda: len(newcomer.workers()) >= server.worker_count)
        assert not topics & {heard.topic for heard in newcomer.workers()}
