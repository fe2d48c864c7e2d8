"""The plugins against a live server: the local one, or any other with --server-url and --mqtt-url."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cl_client import InvalidParameterError, JobFailedError, JobNotFoundError, JobResponse
from patience import SECONDS, soon

if TYPE_CHECKING:
    from cl_client import ComputeClient


async def test_a_broken_photo_is_a_failed_job(compute_client: ComputeClient) -> None:
    job = await compute_client.media_thumbnail.generate(b"this is no picture", wait=True, timeout=SECONDS)
    assert job.status == "failed"
    assert job.error_message
    with pytest.raises(JobFailedError):
        await compute_client.media_thumbnail.generate(
            b"neither is this", wait=True, timeout=SECONDS, raise_on_failure=True
        )


async def test_callbacks_of_a_submit(compute_client: ComputeClient) -> None:
    told: list[JobResponse] = []
    ended: asyncio.Future[JobResponse] = asyncio.get_running_loop().create_future()

    async def on_complete(job: JobResponse) -> None:
        ended.set_result(job)

    job = await compute_client.hash.compute(b"some bytes", on_progress=told.append, on_complete=on_complete)
    last = await soon(ended)
    assert (last.job_id, last.status, last.progress) == (job.job_id, "completed", 100)
    assert told[0].status == "queued"
    again = await compute_client.wait_for_job(job.job_id, timeout=SECONDS)
    assert again == await compute_client.get_job(job.job_id)
    updates = [update.status async for update in compute_client.watch_job(job.job_id)]
    assert updates == ["completed"]


async def test_parameters_are_checked_before_anything_is_sent(compute_client: ComputeClient) -> None:
    with pytest.raises(InvalidParameterError, match=r"quality=0: .*greater than or equal to 1"):
        await compute_client.image_conversion.convert(b"x", "webp", quality=0)
    with pytest.raises(InvalidParameterError, match="priority=11: must be 0-10"):
        await compute_client.hash.compute(b"x", priority=11)
    with pytest.raises(InvalidParameterError, match="empty"):
        await compute_client.hash.compute(b"")


async def test_deleting_a_job(compute_client: ComputeClient) -> None:
    job = await compute_client.hash.compute(b"x", wait=True, timeout=SECONDS)
    await compute_client.delete_job(job.job_id)
    with pytest.raises(JobNotFoundError):
        await compute_client.get_job(job.job_id)
    with pytest.raises(JobNotFoundError):
        await compute_client.wait_for_job(job.job_id, timeout=SECONDS)


async def test_the_server_itself(compute_client: ComputeClient) -> None:
    health = await compute_client.health()
    assert health.status == "healthy"
    served = await compute_client.wait_for_workers(["hash", "exif"], timeout=SECONDS)
    assert served.keys() <= (await compute_client.get_capabilities()).capabilities.keys() | served.keys()


async def test_many_at_once(compute_client: ComputeClient) -> None:
    jobs = await asyncio.gather(
        *(compute_client.hash.compute(f"{n}".encode(), wait=True, timeout=SECONDS) for n in range(60))
    )
    assert {job.status.value for job in jobs} == {"completed"}
