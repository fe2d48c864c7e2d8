"""What the commands about jobs tell and write down, whatever the server says of each job."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from cl_client import JobResponse, JobStatus
from cl_client.testing import StubServer, http_response
from cl_client_cli.jobs.commands import ListedStatus
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.jobs.ledger_entry import FORGOTTEN
from command_lines import json_objects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import CompletedProcess

    from cl_client import ComputeClient
    from command_lines import RunCLI, StartCLI

FORBIDDEN = http_response("403 Forbidden", '{"detail": "not yours"}')
GONE = http_response("404 Not Found", '{"detail": "Job not found"}')


def says(job_id: str, status: str, **more: str | int) -> bytes:
    """The server's answer to a read of a job."""
    job = {"job_id": job_id, "task_type": "hash", "status": status, "progress": 100, **more}
    return http_response("200 OK", json.dumps(job))


class Notes:
    """A ledger of jobs that are queued, and the commands of its user."""

    def __init__(self, run_cli: RunCLI, environment: dict[str, str]) -> None:
        self._run = run_cli
        self._environment = environment
        self.path = Path(environment["CL_CLIENT_DATA_DIR"], "jobs.sqlite")

    def note(self, *job_ids: str, server: str) -> None:
        """Write jobs down as submitted, the latest last."""
        with Ledger.open(self.path) as ledger:
            for job_id in job_ids:
                job = JobResponse.model_validate({"job_id": job_id, "task_type": "hash", "status": "queued"})
                ledger.submitted(job, server=server, source=f"{job_id}.jpg", params={}, target=None)

    def at(self, client: ComputeClient, *job_ids: str) -> None:
        """Write jobs down as submitted to the server of a client, which later commands use."""
        self._environment["COMPUTE_SERVER_URL"] = client.config.base_url
        self._environment["MQTT_BROKER_HOST"] = "off"
        self.note(*job_ids, server=client.config.base_url)

    def states(self) -> dict[str, str]:
        """What the ledger says of each job."""
        with Ledger.open(self.path) as ledger:
            return {it.job_id: it.status for it in ledger.entries()}

    async def run(self, *arguments: object) -> CompletedProcess[str]:
        """Run a command while the test's server answers."""
        return await asyncio.to_thread(self._run, *arguments)


@pytest.fixture
def notes(run_cli: RunCLI, cli_environment: dict[str, str]) -> Notes:
    return Notes(run_cli, cli_environment)


async def test_a_job_that_cannot_be_read_hides_no_other(notes: Notes) -> None:
    files: Mapping[str, bytes] = {
        "mine": says("mine", "completed"),
        "theirs": FORBIDDEN,
        "gone": GONE,
    }
    async with StubServer(None, files=files).running() as client:
        notes.at(client, *files)
        shown = await notes.run("jobs", "list")
        assert notes.states() == {"mine": "completed", "theirs": "queued", "gone": "forgotten"}
        assert all(f"{job_id}.jpg" in shown.stdout for job_id in files)
        (error,) = shown.stderr.splitlines()
        assert "theirs" in error
        assert "not yours" in error
        assert shown.returncode == 4
        read = await notes.run("jobs", "get", "theirs", "mine", "--json")
        assert ([it["job_id"] for it in json_objects(read)], read.returncode) == (["mine"], 4)
        assert "not yours" in read.stderr
        both = await notes.run("jobs", "get", "theirs", "gone", "mine")
        assert (both.returncode, len(both.stderr.splitlines())) == (1, 2)
        assert "mine" in both.stdout


async def test_an_answer_that_is_none_hides_no_other_job(notes: Notes) -> None:
    files: Mapping[str, bytes] = {"odd": http_response("200 OK", "{}"), "good": says("good", "failed")}
    async with StubServer(None, files=files).running() as client:
        notes.at(client, *files)
        shown = await notes.run("jobs", "list", "--json")
    assert {str(it["job_id"]): it["status"] for it in json_objects(shown)} == {
        "good": "failed",
        "odd": "queued",
    }
    (error,) = shown.stderr.splitlines()
    assert (shown.returncode, "odd" in error) == (1, True)


async def test_without_a_login_the_list_is_what_was_known(notes: Notes) -> None:
    server = StubServer(http_response("401 Unauthorized", '{"detail": "who are you?"}'))
    async with server.running() as client:
        notes.at(client, "one", "two")
        shown = await notes.run("jobs", "list")
    assert ("one.jpg" in shown.stdout, shown.returncode) == (True, 4)
    assert "showing the last known status" in shown.stderr
    assert "cl-client login" in shown.stderr


@pytest.mark.parametrize("command", ["get", "wait", "cancel"])
async def test_what_a_command_learns_is_written_down(notes: Notes, command: str) -> None:
    files: Mapping[str, bytes] = {
        "done": says("done", "completed"),
        "bad": says("bad", "error", error_message="no picture"),
        "gone": GONE,
    }
    async with StubServer(None, files=files).running() as client:
        notes.at(client, *files, "other")
        await notes.run("jobs", command, *files)
    assert notes.states() == {"done": "completed", "bad": "failed", "gone": "forgotten", "other": "queued"}


async def test_a_wait_goes_through_a_gateway_without_its_server(notes: Notes) -> None:
    gateway = http_response("502 Bad Gateway", "<h1>Bad gateway</h1>")
    server = StubServer(*[gateway] * 3, says("mine", "completed"))
    async with server.running() as client:
        notes.at(client, "mine")
        waited = await notes.run("jobs", "wait", "mine")
        assert (waited.returncode, "mine: hash completed" in waited.stdout) == (0, True), waited.stderr
    async with StubServer(gateway).running() as client:
        notes.at(client, "other")
        ended = await notes.run("jobs", "wait", "other", "--give-up-after", "0")
        assert (ended.returncode, "502" in ended.stderr) == (3, True)
        assert (await notes.run("health")).returncode == 3


async def test_a_list_asks_only_about_what_it_may_show(notes: Notes) -> None:
    names = ("one", "two", "three", "four")
    server = StubServer(None, files={name: says(name, "processing") for name in names})
    async with server.running() as client:
        notes.at(client, *names)
        await notes.run("jobs", "list", "--task", "exif")
        await notes.run("jobs", "list", "--since", "2100-01-01")
        assert not server.targets
        await notes.run("jobs", "list", "--limit", "2")
        assert sorted(server.targets) == ["/jobs/four", "/jobs/three"]
        # Any of them may have become one of these.
        shown = await notes.run("jobs", "list", "--limit", "1", "--status", "processing", "--json")
        assert len(server.targets) == 6
        assert [it["job_id"] for it in json_objects(shown)] == ["four"]


async def test_prefixes_of_ids(notes: Notes) -> None:
    server = StubServer(None, files={name: says(name, "processing") for name in ("ab1", "ab2", "c")})
    async with server.running() as client:
        notes.at(client, "ab1", "ab2", "c")
        notes.note("c-elsewhere", server="http://elsewhere")
        several = await notes.run("jobs", "get", "ab")
        assert (several.returncode, "matches 2 jobs: ab2, ab1" in several.stderr) == (2, True)
        empty = await notes.run("jobs", "delete", "")
        assert (empty.returncode, "the job ID is empty" in empty.stderr) == (2, True)
        assert not server.requests
        once = await notes.run("jobs", "get", "ab1", "c", "ab1", "--json")
        assert sorted(str(it["job_id"]) for it in json_objects(once)) == ["ab1", "c"]


async def test_many_jobs_are_waited_for_at_the_same_time(notes: Notes, start_cli: StartCLI) -> None:
    names = [f"job-{number}" for number in range(12)]
    server = StubServer(None)
    async with server.running() as client:
        notes.at(client, *names)
        with start_cli("jobs", "wait", *names):
            await server.received(len(names))
    assert sorted(server.targets) == sorted(f"/jobs/{name}" for name in names)


async def test_times_that_no_calendar_has_are_left_out(notes: Notes) -> None:
    async with StubServer(says("it", "completed", created_at=2**62)).running() as client:
        notes.at(client, "it")
        shown = await notes.run("jobs", "get", "it")
    assert (shown.returncode, "submitted" in shown.stdout) == (0, False)


async def test_jobs_that_were_never_seen_to_end_are_pruned_late(notes: Notes) -> None:
    notes.note("lost", "recent", server="http://gone")
    with closing(sqlite3.connect(notes.path)) as connection, connection:
        connection.execute("UPDATE jobs SET updated_at = updated_at - 31 * 86400 WHERE job_id = 'lost'")
    assert (await notes.run("jobs", "prune", "--older-than", "60d")).stdout == "no jobs removed\n"
    assert (await notes.run("jobs", "prune", "--older-than", "1s")).stdout == "1 job removed\n"
    assert notes.states() == {"recent": "queued"}


def test_how_many_jobs_are_elsewhere(notes: Notes, run_cli: RunCLI) -> None:
    notes.note(*(f"job-{number}" for number in range(60)), server="http://elsewhere")
    shown = run_cli("jobs", "list", "--server", "http://here")
    assert "60 on others" in shown.stderr


def test_jobs_can_be_listed_by_every_status() -> None:
    assert set(get_args(ListedStatus)) == {*JobStatus, FORGOTTEN}
