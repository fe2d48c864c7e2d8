"""The job table."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cl_client.local.jobs.store import DataFolderInUseError, JobStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[JobStore]:
    opened = await JobStore.open(tmp_path / "jobs.sqlite3")
    yield opened
    await opened.close()


async def test_a_jobs_life(store: JobStore) -> None:
    queued = await store.add("j", "hash", {"input_path": "input/a", "tags": ["x"]}, 7)
    assert (queued.status, queued.progress, queued.priority, queued.started_at) == ("queued", 0, 7, None)
    assert queued.params == {"input_path": "input/a", "tags": ["x"]}

    claimed = await store.claim(["hash"])
    assert claimed is not None
    assert (claimed.job_id, claimed.status) == ("j", "processing")
    assert claimed.started_at is not None
    advanced = await store.set_progress("j", 40)
    assert advanced is not None
    assert advanced.progress == 40
    completed = await store.complete("j", {"ok": True})
    assert completed is not None
    assert (completed.status, completed.progress, completed.task_output) == ("completed", 100, {"ok": True})
    assert completed.updated_at == completed.created_at
    assert await store.get("j") == completed


async def test_a_failure_keeps_its_progress(store: JobStore) -> None:
    await store.add("j", "hash", {}, 5)
    await store.claim(["hash"])
    await store.set_progress("j", 30)
    failed = await store.fail("j", "no picture")
    assert failed is not None
    assert (failed.status, failed.progress, failed.error_message) == ("error", 30, "no picture")


async def test_each_job_is_claimed_once_and_in_order(store: JobStore) -> None:
    for number in range(20):
        await store.add(str(number), "hash", {}, number % 10)
    claims = await asyncio.gather(*(store.claim(["hash"]) for _ in range(25)))
    assert [claim.job_id for claim in claims if claim] == [str(number) for number in range(20)]
    assert claims[20:] == [None] * 5


async def test_only_jobs_of_offered_tasks_are_claimed(store: JobStore) -> None:
    await store.add("a", "exif", {}, 5)
    await store.add("b", "hash", {}, 5)
    claimed = await store.claim(["hash"])
    assert claimed is not None
    assert claimed.job_id == "b"
    assert await store.claim(["hash"]) is None
    assert await store.claim([]) is None


async def test_nothing_happens_to_a_job_that_is_gone_or_has_ended(store: JobStore) -> None:
    await store.add("j", "hash", {}, 5)
    await store.claim(["hash"])
    assert await store.complete("j", {}) is not None
    assert await store.set_progress("j", 10) is None
    assert await store.fail("j", "late") is None
    assert await store.delete("j")
    assert not await store.delete("j")
    assert await store.complete("j", {}) is None
    assert await store.get("j") is None


async def test_interrupted_jobs_are_queued_again(tmp_path: Path) -> None:
    first = await JobStore.open(tmp_path / "jobs.sqlite3")
    for job_id in ("done", "running", "waiting"):
        await first.add(job_id, "hash", {}, 5)
    await first.claim(["hash"])
    await first.complete("done", {})
    await first.claim(["hash"])
    await first.set_progress("running", 70)
    await first.close()

    second = await JobStore.open(tmp_path / "jobs.sqlite3")
    try:
        assert await second.requeue_interrupted() == 1
        again = await second.claim(["hash"])
        assert again is not None
        assert (again.job_id, again.progress) == ("running", 0)
    finally:
        await second.close()


async def test_cleanup_takes_old_jobs_that_have_ended(store: JobStore) -> None:
    for job_id in ("done", "running", "waiting"):
        await store.add(job_id, "hash", {}, 5)
    await store.claim(["hash"])
    await store.complete("done", {})
    await store.claim(["hash"])
    assert await store.delete_ended_before(0) == []
    assert await store.delete_ended_before(2**60) == ["done"]
    assert await store.count() == 2


async def test_a_file_belongs_to_one_store(store: JobStore, tmp_path: Path) -> None:
    assert await store.count() == 0
    with pytest.raises(DataFolderInUseError, match="in use by another server"):
        await JobStore.open(tmp_path / "jobs.sqlite3")
