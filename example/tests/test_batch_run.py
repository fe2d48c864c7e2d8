"""A batch's run, in this process: what the server, the network and single items do to it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client import ComputeClient, ComputeClientConfig, ConfigurationError
from cl_client.exceptions import AuthenticationError, JobTimeoutError, ServerUnavailableError
from cl_client.testing import FaultProxy, StubServer, http_response, pass_on, refuse, reply
from cl_client_cli.batch.items import Item, ItemKey
from cl_client_cli.batch.manifest import FILE_NAME, BatchManifest
from cl_client_cli.batch.run import BatchRun
from cl_client_cli.database import StorageError
from cl_client_cli.frame.options import JobOptions, OutputOptions
from cl_client_cli.frame.outages import Outages
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.tasks.job_engine import JobEngine
from cl_client_cli.tasks.resilient_engine import ResilientEngine
from cl_client_cli.tasks.table import TASKS, TaskKind, TaskResult
from patience import SECONDS
from small_disks import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence
    from pathlib import Path

    from cl_client import JobResponse
    from cl_client.local import LocalServer


@pytest.fixture
def manifest(tmp_path: Path) -> Generator[BatchManifest]:
    """A batch of two files to be hashed."""
    folder = tmp_path / "out"
    with BatchManifest.open(folder, create=True) as made:
        items: dict[ItemKey, Path] = {}
        for name in ("a", "b"):
            source = tmp_path / f"{name}.txt"
            source.write_text(name)
            items[ItemKey(source, "hash", "{}")] = folder / f"{name}.hash.json"
        assert made.add(items) == 2
        yield made


@dataclass
class _Runner:
    """Runs a batch, one item at a time."""

    manifest: BatchManifest
    ledger: Ledger
    terminal: Terminal

    async def run(
        self,
        client: ComputeClient,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the option's name
        retries: int = 0,
        give_up_after: float = 60.0,
    ) -> Sequence[Item]:
        """Run what is left; all items as they are then."""
        run = BatchRun(
            ResilientEngine(
                JobEngine(client, self.ledger, JobOptions(timeout=timeout)),
                Outages(client, self.terminal, give_up_after),
            ),
            self.manifest,
            JobProgress(self.terminal, 2),
            self.terminal,
            retries=retries,
        )
        await run.run(concurrency=1)
        return list(self.manifest.items())


@pytest.fixture
def runner(manifest: BatchManifest, tmp_path: Path) -> Generator[_Runner]:
    """What runs the batch."""
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:
        yield _Runner(manifest, ledger, Terminal.make(OutputOptions(quiet=True)))


class _NeverEnding(ComputeClient):
    """A client to which no job ever comes to its end; no time passes over that."""

    def __init__(self, config: ComputeClientConfig) -> None:
        super().__init__(config=config)
        self.waits: list[tuple[str, float | None]] = []

    @override
    async def wait_for_job(
        self,
        job_id: str,
        *,
        poll_interval: float | None = None,
        timeout: float | None = None,
        raise_on_failure: bool = False,
        delete_on_cancel: bool | None = None,
    ) -> JobResponse:
        self.waits.append((job_id, timeout))
        raise JobTimeoutError(job_id, timeout or 0, None)


@asynccontextmanager
async def _never_ending(server: LocalServer) -> AsyncGenerator[_NeverEnding]:
    config = ComputeClientConfig.create(base_url=server.base_url, mqtt_broker="off")
    async with _NeverEnding(config) as client:
        yield client


async def test_a_job_whose_time_is_up_is_not_waited_for_again_before_the_next_run(
    runner: _Runner, media_server: LocalServer
) -> None:
    async with _never_ending(media_server) as client:
        items = await runner.run(client, timeout=50, retries=2)
        jobs = [job for job, _ in client.waits]
        assert len(set(jobs)) == len(jobs) == 2
        assert [item.job_id for item in items] == jobs
        assert all("timed out after 50 s" in (item.error or "") for item in items)
        # What the upload took is no longer there for the wait.
        assert all(left is not None and left < 50 for _, left in client.waits)
        await runner.run(client, timeout=50)
        assert client.waits[2:] == [(job, 50) for job in jobs]
    async with media_server.client() as client:
        assert [item.state for item in await runner.run(client)] == ["done", "done"]
        assert [item.job_id for item in runner.manifest.items()] == jobs


async def test_an_upload_whose_time_is_up_fails_alone(runner: _Runner) -> None:
    server = StubServer(None, http_response("200 OK", "{}"))
    async with server.running(max_retries=0) as client:
        items = await runner.run(client, timeout=3, retries=2)
    assert "timed out after 3 s" in (items[0].error or "")
    assert [item.state for item in items] == ["failed", "failed"]
    assert len(server.requests) == 2


_BUSY = http_response("503 Service Unavailable", "{}")


async def test_a_server_that_restarts_behind_a_gateway_uses_up_no_retries(
    runner: _Runner, media_server: LocalServer
) -> None:
    async with FaultProxy(media_server) as proxy, proxy.client(max_retries=0) as client:
        proxy.plan(reply(response=http_response("502 Bad Gateway", "{}")))  # to the first submission
        proxy.plan(refuse(response=_BUSY))  # and these to the questions whether it is well
        proxy.plan(refuse(response=http_response("500 Internal Server Error", "{}")))
        proxy.plan(refuse(response=http_response("200 OK", "<h1>Back soon</h1>")))
        proxy.plan(pass_on)
        proxy.plan(reply(response=_BUSY))  # to the second submission
        items = await runner.run(client)
    assert [item.state for item in items] == ["done", "done"]


async def test_a_server_that_stays_busy_ends_the_run(runner: _Runner) -> None:
    async with StubServer(_BUSY).running(max_retries=0) as client:
        with pytest.raises(ServerUnavailableError, match="503"):
            await runner.run(client, give_up_after=0.1)
    assert [item.state for item in runner.manifest.items()] == ["submitting", "waiting"]


async def test_an_item_that_alone_meets_outages_fails_in_the_end(runner: _Runner) -> None:
    health = http_response("200 OK", '{"status": "healthy", "service": "compute", "version": "1"}')
    server = StubServer(_BUSY, files={"health": health, "": health})
    async with server.running(max_retries=0) as client:
        items = await runner.run(client, give_up_after=0.1)
    assert [item.state for item in items] == ["failed", "failed"]
    assert all(item.transient for item in items)


async def test_nothing_that_one_result_does_ends_the_batch(
    runner: _Runner, media_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, met = TASKS["hash"].fetch, asyncio.Event()

    async def odd(client: ComputeClient, job: JobResponse, target: Path | None) -> TaskResult:
        if met.is_set():
            return await fetch(client, job, target)
        met.set()
        raise LookupError("a decoder's own mistake")

    monkeypatch.setitem(TASKS, "hash", TaskKind("hash", odd, ".hash.json"))
    async with media_server.client() as client:
        items = await runner.run(client, retries=2)
    assert [item.state for item in items] == ["failed", "done"]
    assert items[0].error == "LookupError: a decoder's own mistake"


async def test_what_the_server_has_refused_is_not_on_its_way(runner: _Runner) -> None:
    refusal = http_response("401 Unauthorized", '{"detail": "who are you?"}')
    async with StubServer(refusal).running(max_retries=0) as client:
        with pytest.raises(AuthenticationError):
            await runner.run(client)
    assert [item.state for item in runner.manifest.items()] == ["waiting", "waiting"]


async def test_a_job_that_is_known_is_taken_up_though_its_file_is_gone(
    runner: _Runner, media_server: LocalServer, tmp_path: Path
) -> None:
    async with _never_ending(media_server) as client:
        jobs = [item.job_id for item in await runner.run(client, timeout=SECONDS)]
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").unlink()
    async with media_server.client() as client:
        await client.delete_job(str(jobs[1]))
        first, second = await runner.run(client)
    assert (first.state, first.job_id) == ("done", jobs[0])
    assert second.state == "failed"
    assert "b.txt" in (second.error or "")
    assert second.source.name == "b.txt"


async def test_what_cannot_be_noted_is_not_sent(tmp_path: Path, media_server: LocalServer) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    (tmp_path / "a.txt").write_text("a")
    with (
        small_disk(folder, "200k"),
        BatchManifest.open(folder, create=True) as manifest,
        Ledger.open(tmp_path / "jobs.sqlite") as ledger,
    ):
        manifest.add({ItemKey(tmp_path / "a.txt", "hash", "{}"): folder / "a.hash.json"})
        runner = _Runner(manifest, ledger, Terminal.make(OutputOptions(quiet=True)))
        fill(folder)
        async with FaultProxy(media_server) as proxy, proxy.client() as client:
            with pytest.raises(StorageError, match=r"batch\.sqlite.*free some space"):
                await runner.run(client)
            assert [item.state for item in manifest.items()] == ["waiting"]
            before = (await client.admin.storage()).job_count
        async with media_server.client() as client:
            assert (await client.admin.storage()).job_count == before
            (folder / "filler").unlink()
            assert [item.state for item in await runner.run(client)] == ["done"]
            assert (await client.admin.storage()).job_count == before + 1


def test_a_manifest_of_an_earlier_version_is_refused(manifest: BatchManifest) -> None:
    with closing(sqlite3.connect(manifest.folder / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(ConfigurationError, match=r"version 1.*move it away"):
        BatchManifest.open(manifest.folder)
