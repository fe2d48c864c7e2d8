"""Worker processes: whatever a task does, the job ends with a clear word and the next one runs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import psutil
import pytest

from cl_client.local import LocalServer
from cl_client.local.assembly import running_server
from cl_client.local.settings import LocalServerSettings
from forked_workers import fresh_interpreters
from patience import soon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.test_local.conftest import Caller, Listener

    from cl_client.local.tasks import TaskSpec
    from cl_client.local.tasks.job_hook import ClaimedJob

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")


@pytest.fixture(scope="module", autouse=True)
def real_workers() -> Iterator[None]:
    """Started as users have them, not forked."""
    with fresh_interpreters():
        yield


@pytest.fixture(scope="module")
def server(scripted: dict[str, TaskSpec]) -> Iterator[LocalServer]:
    """One worker only, so that the next job meets what the last one left."""
    with LocalServer(workers=1, extra_tasks=scripted) as running:
        yield running


def error_of(caller: Caller, action: str) -> str:
    """What a job of this action ends with, once the job after it has shown that the worker is well."""
    failing, following = caller.submit(action=action), caller.submit()
    job = caller.ended(failing)
    assert job["status"] == "error"
    assert job["task_output"] is None
    assert caller.ended(following)["status"] == "completed"
    return str(job["error_message"])


def test_warnings_are_part_of_the_output_once_each_and_not_without_end(caller: Caller) -> None:
    output = caller.ended(caller.submit(action="warn"))["task_output"]
    assert isinstance(output, dict)
    warnings = output["warnings"]
    assert isinstance(warnings, list)
    assert output["size"] == 1
    assert warnings[:4] == [
        "part 0 is damaged",
        "line 0 is missing",
        "line 1 is missing",
        "part 1 is damaged",
    ]
    assert len(warnings) == 20


def test_the_tasks_own_words_are_kept(caller: Caller) -> None:
    assert error_of(caller, "fail") == "photo.jpg: no picture"


def test_any_exception_is_the_jobs_error_and_logged(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    message = error_of(caller, "raise")
    assert message == "photo.jpg: scripted failed: ZeroDivisionError: a fault of the task"
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.name for record in logged] == ["cl_client.local.workers.pool"]
    assert "in _raise" in logged[0].getMessage()


@pytest.mark.parametrize("action", ["not_json", "nan"])
def test_an_output_that_is_no_json_is_the_jobs_error(caller: Caller, action: str) -> None:
    assert "photo.jpg: scripted failed:" in error_of(caller, action)
    assert "JSON" in error_of(caller, action)


def test_a_worker_that_ends_itself(caller: Caller) -> None:
    message = error_of(caller, "exit")
    assert message.startswith("photo.jpg: scripted failed: its worker process died (exit code 7)")


@POSIX_ONLY
def test_a_worker_that_dies_of_a_signal(caller: Caller) -> None:
    assert "its worker process died (signal 15, SIGTERM)" in error_of(caller, "die")


@POSIX_ONLY
def test_a_worker_that_is_killed(
    caller: Caller, server: LocalServer, eventually: Callable[[Callable[[], object]], None]
) -> None:
    output = cast("dict[str, int]", caller.ended(caller.submit(action="process_id"))["task_output"])
    job_id = caller.submit(gate=str(server.data_dir / "never"))
    eventually(lambda: caller.has_status(job_id, "processing"))
    os.kill(output["pid"], signal.SIGKILL)
    assert "(signal 9, SIGKILL, possibly out of memory)" in str(caller.ended(job_id)["error_message"])


@POSIX_ONLY
def test_a_worker_that_dies_while_it_has_nothing_to_do_costs_no_job(
    caller: Caller, eventually: Callable[[Callable[[], object]], None]
) -> None:
    output = cast("dict[str, int]", caller.ended(caller.submit(action="process_id"))["task_output"])
    process = psutil.Process(output["pid"])
    process.kill()
    # The server has collected its end once its number is free again.
    eventually(lambda: not process.is_running())
    assert caller.outcome(caller.submit()) == "completed"


def test_a_worker_that_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, scripted: dict[str, TaskSpec], call: type[Caller]
) -> None:
    monkeypatch.setattr(sys, "executable", str(Path(__file__).with_name("no-such-python")))
    with LocalServer(workers=1, extra_tasks=scripted) as server, call(server) as caller:
        job = caller.ended(caller.submit())
        assert "photo.jpg: scripted failed: cannot start a worker process" in str(job["error_message"])


def test_a_job_that_is_deleted_while_its_worker_starts(
    scripted: dict[str, TaskSpec], call: type[Caller], tmp_path: Path
) -> None:
    # The first job of a fresh server comes before its process is there.
    with LocalServer(workers=1, extra_tasks=scripted) as server, call(server) as caller:
        deleted = caller.submit(gate=str(tmp_path / "never"))
        assert caller.http.delete(f"/jobs/{deleted}").status_code == 204
        assert caller.outcome(caller.submit()) == "completed"


async def test_a_job_that_is_deleted_just_when_its_task_is_to_start(
    scripted: dict[str, TaskSpec], tmp_path: Path
) -> None:
    abandoned: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

    async def before_job(job: ClaimedJob) -> None:
        # It begins when this is done, and before the worker knows that.
        abandoned.put_nowait(asyncio.ensure_future(running.pool.abandon(job.job_id)))

    settings = LocalServerSettings(workers=1, extra_tasks=scripted, before_job=before_job)
    async with running_server(settings, tmp_path) as running, httpx.AsyncClient() as http:
        url = f"{running.base_url}/jobs/scripted"
        posted = await http.post(url, files={"file": b"x"}, data={"gate": str(tmp_path / "never")})
        assert posted.status_code == 200, posted.text
        await soon(await soon(abandoned.get()))


def test_printing_does_not_disturb_and_stdin_is_empty(caller: Caller) -> None:
    job = caller.ended(caller.submit(action="noisy"))
    assert (job["status"], job["task_output"]) == ("completed", {"stdin": ""})


def test_a_large_output_arrives(caller: Caller) -> None:
    assert caller.ended(caller.submit(action="large"))["task_output"] == {"text": "x" * 1_000_000}


def test_one_process_serves_many_jobs(caller: Caller) -> None:
    outputs = [caller.ended(caller.submit(action="process_id"))["task_output"] for _ in range(3)]
    assert outputs[0] == outputs[1] == outputs[2]


def test_deleting_a_running_job_frees_its_worker_and_says_nothing(
    caller: Caller,
    listener: Listener,
    server: LocalServer,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    job_id = caller.submit(gate=str(server.data_dir / "never"))
    eventually(lambda: listener.events(job_id) == [("queued", 0), ("processing", 0)])
    assert caller.http.delete(f"/jobs/{job_id}").status_code == 204
    assert not (server.data_dir / "jobs" / job_id).exists()

    following = caller.submit()
    eventually(lambda: listener.events(following)[-1:] == [("completed", 100)])
    assert listener.events(job_id) == [("queued", 0), ("processing", 0)]


def test_jobs_are_served_in_the_order_of_their_coming(caller: Caller) -> None:
    jobs = [caller.submit(priority=str(priority)) for priority in (1, 9, 5, 10)]
    assert {caller.outcome(job) for job in jobs} == {"completed"}
    starts = [str(caller.job(job)["started_at"]) for job in jobs]
    assert starts == sorted(starts)
