"""Jobs on a live server: the local one, or any other with --cl-server-url and --cl-mqtt-url.

They are small conversions, as some real servers fail at hashes.
"""

from __future__ import annotations

import asyncio
import io
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from cl_client import InvalidParameterError, JobFailedError, JobNotFoundError, JobResponse
from cl_client.models import TaskParams
from patience import SECONDS, soon
from server_under_test import FAILING_TASKS

if TYPE_CHECKING:
    from cl_client import ComputeClient
    from server_under_test import ServerUnderTest


def square(side: int = 8) -> bytes:
    """A picture."""
    file = io.BytesIO()
    Image.new("RGB", (side, side)).save(file, "PNG")
    return file.getvalue()


async def test_a_broken_photo_is_a_failed_job(compute_client: ComputeClient) -> None:
    job = await compute_client.media_thumbnail.generate(b"this is no picture", wait=True, timeout=SECONDS)
    assert job.status == "failed"
    assert job.error_message
    with pytest.raises(JobFailedError):
        await compute_client.media_thumbnail.generate(
            b"neither is this", wait=True, timeout=SECONDS, raise_on_failure=True
        )


@pytest.mark.parametrize("task", FAILING_TASKS)
async def test_a_task_at_which_some_servers_fail(
    compute_client: ComputeClient, server_under_test: ServerUnderTest, task: str
) -> None:
    plugin = compute_client.plugin(task)
    job = await plugin.submit(square(), TaskParams(), wait=True, timeout=SECONDS)
    if server_under_test.fails_at(job):
        with pytest.raises(JobFailedError, match=re.escape(job.error_message or "")):
            plugin.output(job)
    else:
        assert plugin.output(job).model_extra is not None


async def test_callbacks_of_a_submit(compute_client: ComputeClient) -> None:
    told: list[JobResponse] = []
    ended: asyncio.Future[JobResponse] = asyncio.get_running_loop().create_future()

    async def on_complete(job: JobResponse) -> None:
        ended.set_result(job)

    job = await compute_client.image_conversion.convert(
        square(), "gif", on_progress=told.append, on_complete=on_complete
    )
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
    job = await compute_client.image_conversion.convert(square(), "gif", wait=True, timeout=SECONDS)
    assert job.status == "completed"
    await compute_client.delete_job(job.job_id)
    with pytest.raises(JobNotFoundError):
        await compute_client.get_job(job.job_id)
    with pytest.raises(JobNotFoundError):
        await compute_client.wait_for_job(job.job_id, timeout=SECONDS)


async def test_the_server_itself(compute_client: ComputeClient) -> None:
    health = await compute_client.health()
    assert health.status == "healthy"
    served = await compute_client.wait_for_workers(["hash", "image_conversion"], timeout=SECONDS)
    # Generation A knows of no workers when it is asked for the first time.
    await compute_client.get_capabilities()
    capabilities = await compute_client.get_capabilities()
    assert capabilities.num_workers >= 1
    assert {"hash", "image_conversion"} <= served.keys() & capabilities.capabilities.keys()


async def test_many_at_once(compute_client: ComputeClient) -> None:
    jobs = await asyncio.gather(
        *(
            compute_client.image_conversion.convert(square(side), "gif", wait=True, timeout=SECONDS)
            for side in range(1, 61)
        )
    )
    assert {job.status.value for job in jobs} == {"completed"}
