"""Many files through one plugin, on a server whose jobs do what their files say."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, InvalidParameterError, JobFailedError, JobNotFoundError, JobResponse
from cl_client.plugins.media_thumbnail import MediaThumbnailParams
from cl_client.testing import FaultyServer
from patience import SECONDS, soon
from written_files_task import script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cl_client import JSONObject
    from cl_client.local import LocalServer


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three that are fine, one that is missing, and one on which the task fails."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(script(output={"media_type": "image", "number": number}))
    (folder / "bad.jpg").write_bytes(script(fail="no picture"))
    return [*sorted(folder.iterdir()), folder / "missing.jpg"]


def said_of(outcome: JobResponse | Exception) -> str:
    """The outcome in a word or two."""
    if isinstance(outcome, Exception):
        return type(outcome).__name__
    return outcome.error_message or str((outcome.task_output or {})["number"])


async def test_every_file_has_its_outcome(writing_client: ComputeClient, photos: list[Path]) -> None:
    outcomes = {path.stem: said_of(job) async for path, job in writing_client.hash.map(photos, concurrency=2)}
    assert outcomes == {"0": "0", "1": "1", "2": "2", "bad": "no picture", "missing": "InvalidParameterError"}


async def test_failed_jobs_as_errors(writing_client: ComputeClient, photos: list[Path]) -> None:
    outcomes = writing_client.exif.map(photos, raise_on_failure=True, priority=9)
    errors = {path.stem: outcome async for path, outcome in outcomes if isinstance(outcome, Exception)}
    assert errors.keys() == {"bad", "missing"}
    assert isinstance(errors["bad"], JobFailedError)


async def test_parameters_and_options_reach_each_job(writing_client: ComputeClient) -> None:
    content: JSONObject = {"number": 1}
    told: list[JobResponse] = []
    params = MediaThumbnailParams(width=64)
    outcomes = writing_client.media_thumbnail.map(
        [script(output=content)] * 3, params, priority=7, on_complete=told.append, timeout=SECONDS
    )
    jobs = [job async for _, job in outcomes if isinstance(job, JobResponse)]
    assert [(job.params["width"], job.priority) for job in jobs] == [(64, 7)] * 3
    assert {job.job_id for job in told} == {job.job_id for job in jobs}


@pytest.mark.parametrize("concurrency", [0, -1, 8])
def test_bounds(concurrency: int) -> None:
    client = ComputeClient("http://127.0.0.1:1", mqtt_broker="off", pool_maxsize=7, pool_size=1)
    with pytest.raises(InvalidParameterError, match=f"concurrency={concurrency}: must be 1-7"):
        client.hash.map([b"x"], concurrency=concurrency)
    with pytest.raises(InvalidParameterError, match="pass a list of inputs"):
        client.face_embedding.embed_images("photo.jpg", concurrency=7)


@pytest.mark.usefixtures("no_leaked_tasks")
async def test_leaving_an_endless_loop_deletes_what_runs(
    local_server: Callable[..., LocalServer],
) -> None:
    def endless() -> Iterator[bytes]:
        return itertools.repeat(b"x")

    seen: set[str] = set()
    three = asyncio.Event()

    def see(job: JobResponse) -> None:
        seen.add(job.job_id)
        if len(seen) == 3:
            three.set()

    async with FaultyServer(local_server(workers=2)) as server, server.client() as client:
        held = [server.hold_job(nth=nth) for nth in (1, 2, 3)]
        outcomes = client.hash.map(endless(), concurrency=2, delete_on_cancel=True, on_progress=see)
        async with aclosing(outcomes):
            first = asyncio.ensure_future(anext(outcomes))
            ended_first = await soon(held[0].reached())
            await soon(held[1].reached())
            held[0].release()
            _, job = await first
            assert isinstance(job, JobResponse)
            assert (job.job_id, job.status) == (ended_first, "completed")
            await soon(held[2].reached())  # the next one takes its place
            await soon(three.wait())
        assert (await client.get_job(job.job_id)).status == "completed"
        for abandoned in seen - {job.job_id}:
            with pytest.raises(JobNotFoundError):
                await client.get_job(abandoned)
    assert len(seen) == 3
