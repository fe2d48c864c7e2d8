"""What keeps a batch of many files bounded: ended jobs leave a temporary server, files are read once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cl_client.local import LocalServer
from cl_client_cli.batch.ended_jobs import EndedJobs
from cl_client_cli.batch.items import Content, Contents, ItemKey
from cl_client_cli.batch.manifest import BatchManifest
from cl_client_cli.tasks.inputs import content_digest
from cl_client_cli.tasks.job_outcome import JobRequest, Outcome
from cl_client_cli.tasks.table import TaskResult
from cl_client_cli.tasks.task_params import task_params

if TYPE_CHECKING:
    from pathlib import Path

_ITEMS = 450
"""More than two pages of the manifest."""


async def test_ended_jobs_leave_a_temporary_server() -> None:
    async with LocalServer(workers=1, tasks=["hash"]) as server, server.client() as client:
        jobs = [
            job.job_id
            async for _, job in client.hash.map([str(number).encode() for number in range(40)], concurrency=4)
            if not isinstance(job, Exception)
        ]
        async with EndedJobs(server) as ended:
            for job_id in jobs:
                await ended.add(job_id)
            await ended.settle()
        kept = await client.admin.storage()
        assert kept.job_count < 16
        assert len(list((server.data_dir / "jobs").iterdir())) == kept.job_count
        await server.discard(jobs)  # also those that it no longer has
        assert (await client.admin.storage()).job_count == 0
        assert not list((server.data_dir / "jobs").iterdir())


async def test_a_file_is_read_again_only_if_it_was_touched(tmp_path: Path) -> None:
    contents, file = Contents(), tmp_path / "a"
    file.write_bytes(b"one")
    first = await contents.of(file)
    before = file.stat()
    assert (first.digest, first.size) == (content_digest(file), 3)
    assert await contents.of(file) is first
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # its size and time are as before
    assert (await contents.of(file)).digest == content_digest(file) != first.digest


async def test_what_is_left_of_a_batch_is_counted_as_its_items_say(tmp_path: Path) -> None:
    folder, source = tmp_path / "out", tmp_path / "a.jpg"
    source.write_bytes(b"a")
    now = source.stat()
    content = Content(content_digest(source), now.st_size, now.st_mtime_ns)
    with BatchManifest.open(folder, create=True) as manifest:
        manifest.add({ItemKey(source, "hash", f'{{"n": {n}}}'): folder / str(n) for n in range(_ITEMS)})
        assert await manifest.left(retry_failed=False) == {"waiting": _ITEMS, "submitting": 0, "submitted": 0}
        for item in list(manifest.items())[: _ITEMS - 2]:
            request = JobRequest(source, "hash", task_params("hash", {}), item.target, "a.jpg")
            result = None if item.id % 3 == 0 else TaskResult("", {}, (item.target,))
            error = "damaged" if result is None else None
            if item.id % 3 == 1:
                item.target.touch()  # the result of the others is lost
            manifest.ended(
                item, Outcome(request, result=result, error=error, transient=item.id % 2 == 0), content
            )
        manifest.submitting(list(manifest.items())[-1], content)
        for retry_failed in (False, True):
            expected: dict[str, int] = {}
            for item in manifest.pending(retry_failed=retry_failed):
                expected[item.state] = expected.get(item.state, 0) + 1
            found = await manifest.left(retry_failed=retry_failed)
            assert +found == expected
            assert found["waiting"] == found["submitting"] == 1
