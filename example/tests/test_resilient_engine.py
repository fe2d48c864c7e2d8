"""A job's way through outages, in this process: what is sent again, what is not, and what is said of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from cl_client.exceptions import ServerError, ServerUnavailableError
from cl_client.testing import FaultProxy, StubServer, cut, http_response, pass_on, reply
from cl_client_cli.frame.options import JobOptions, OutputOptions
from cl_client_cli.frame.outages import Outages, ServerStaysAwayError
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.tasks.job_engine import JobEngine
from cl_client_cli.tasks.job_outcome import JobRequest, Outcome
from cl_client_cli.tasks.resilient_engine import Attempt, ResilientEngine
from cl_client_cli.tasks.task_params import task_params

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from cl_client import ComputeClient
    from cl_client.local import LocalServer
    from cl_client_cli.frame.progress import JobRow

BUSY = http_response("503 Service Unavailable", '{"detail": "the queue is full"}')
BAD_GATEWAY = http_response("502 Bad Gateway", "<h1>Bad gateway</h1>")


class Run:
    """Runs one hash job of a file."""

    def __init__(self, folder: Path, client: ComputeClient, ledger: Ledger, outages: Outages) -> None:
        self.engine = ResilientEngine(JobEngine(client, ledger, JobOptions()), outages)
        self._file = folder / "a.txt"
        self._file.write_text("a")

    async def hash(self) -> Outcome:
        """The job, to its end."""
        try:
            return await self.engine.run(*self.what())
        finally:
            self.engine.say_unanswered()

    def what(self) -> tuple[JobRequest, JobRow]:
        """The request, and who is shown how its job comes along."""
        outages = self.engine.outages
        row = JobProgress(outages.terminal, 1, on_news=outages.moved).start("a.txt", "hash")
        return JobRequest(self._file, "hash", task_params("hash", {}), None, "a.txt"), row


@asynccontextmanager
async def run_with(
    client: ComputeClient, folder: Path, *, give_up_after: float = 60.0
) -> AsyncGenerator[Run]:
    terminal = Terminal.make(OutputOptions())
    with Ledger.open(folder / "jobs.sqlite") as ledger:
        yield Run(folder, client, ledger, Outages(client, terminal, give_up_after, waits_at_first=False))


@asynccontextmanager
async def behind_proxy(
    server: LocalServer, folder: Path, *, give_up_after: float = 60.0
) -> AsyncGenerator[tuple[FaultProxy, Run]]:
    async with (
        FaultProxy(server) as proxy,
        proxy.client(max_retries=0) as client,
        run_with(client, folder, give_up_after=give_up_after) as run,
    ):
        yield proxy, run


async def test_what_is_not_answered_is_not_sent_for_ever(
    media_server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with behind_proxy(media_server, tmp_path) as (proxy, run):
        await run.hash()
        for _ in range(10):
            proxy.plan(cut(after=0))  # a submission's answer
            proxy.plan(pass_on)  # the question how the server is
        outcome = await run.hash()
    assert sum(head.startswith(b"POST") for head in proxy.requests) == 1 + 3
    assert (outcome.result, outcome.transient) == (None, True)
    assert "3 submissions had no answer: the server may run jobs" in capsys.readouterr().err


async def test_one_lost_answer_is_told_of_and_made_good(
    media_server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with behind_proxy(media_server, tmp_path) as (proxy, run):
        await run.hash()
        proxy.plan(cut(after=0))
        assert (await run.hash()).error is None
    assert "1 submission had no answer" in capsys.readouterr().err


async def test_an_attempt_that_is_gone_on_with_is_not_counted_again(
    media_server: LocalServer, tmp_path: Path
) -> None:
    async with behind_proxy(media_server, tmp_path) as (_, run):
        attempt = Attempt(*run.what(), unanswered=2)  # as an earlier call has left it
        assert (await run.engine.go_on(attempt)).error is None
        assert (attempt.unanswered, run.engine.unanswered) == (2, 0)


async def test_a_busy_server_is_called_busy_and_once(
    media_server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with behind_proxy(media_server, tmp_path) as (proxy, run):
        for _ in range(4):  # more often than a file may be sent that is not answered
            proxy.plan(reply(response=BUSY))
            proxy.plan(pass_on)
        assert (await run.hash()).error is None
    said = capsys.readouterr().err
    assert said.count("The server is reachable, but: POST /jobs/hash: the queue is full") == 1
    assert "does not respond" not in said
    assert "is back" not in said
    assert "had no answer" not in said


@pytest.mark.parametrize("patience", [0.0, 60.0])
async def test_a_gateway_without_a_server_from_the_start_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], patience: float
) -> None:
    server = StubServer(BAD_GATEWAY)
    async with server.running(max_retries=0) as client, run_with(client, tmp_path) as run:
        run.engine.outages.give_up_after = patience
        with pytest.raises(ServerError, match="502"):
            await run.hash()
    assert len(server.requests) == 1
    assert "waiting until it is back" not in capsys.readouterr().err


async def test_without_patience_a_server_that_goes_ends_it_at_once(
    media_server: LocalServer, tmp_path: Path
) -> None:
    async with behind_proxy(media_server, tmp_path, give_up_after=0) as (proxy, run):
        assert (await run.hash()).error is None  # it is there
        proxy.plan(reply(response=BAD_GATEWAY), times=10)
        with pytest.raises(ServerStaysAwayError, match="502"):
            await run.hash()


async def test_a_server_that_is_busy_for_too_long_fails_the_job(tmp_path: Path) -> None:
    health = http_response("200 OK", '{"status": "healthy", "service": "compute", "version": "1"}')
    server = StubServer(BUSY, files={"": health})
    async with server.running(max_retries=0) as client, run_with(client, tmp_path, give_up_after=1) as run:
        outcome = await run.hash()
    assert "the queue is full" in (outcome.error or "")
    assert "(tried for " in (outcome.error or "")


async def test_a_call_goes_through_an_outage(media_server: LocalServer, tmp_path: Path) -> None:
    async with behind_proxy(media_server, tmp_path) as (proxy, run):
        proxy.plan(cut(after=0), times=3)  # the call, and then the questions how the server is
        run.engine.outages.waits_at_first = True
        health = await run.engine.outages.through(run.engine.outages.client.health)
        assert health.status == "healthy"
        run.engine.outages.give_up_after = 0
        proxy.plan(cut(after=0))
        with pytest.raises(ServerUnavailableError):
            await run.engine.outages.through(run.engine.outages.client.health)
