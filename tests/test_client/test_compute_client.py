"""`ComputeClient` as an application makes and uses it, against the local server."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, JobFilesError, JSONObject, NoAuthProvider
from cl_client.auth import JWTAuthProvider
from cl_client.local import LocalServer
from cl_client.local.samples import draw_photo
from cl_client.testing import StubServer, http_response
from patience import SECONDS, soon
from small_models import save_small_models

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from cl_client.models import JobResponse
    from cl_client.plugins.hash import HashOutput


@pytest.fixture(scope="module")
def media_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalServer]:
    """A server that has all nine tasks, with small models that are quick."""
    folder = tmp_path_factory.mktemp("models")
    with LocalServer(workers=2, models_dir=folder, models=save_small_models(folder)) as server:
        yield server


@pytest.fixture(autouse=True)
def known_server(media_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients find the server where the environment says."""
    monkeypatch.setenv("COMPUTE_SERVER_URL", media_server.base_url)
    monkeypatch.setenv("MQTT_BROKER_HOST", "127.0.0.1")
    monkeypatch.setenv("MQTT_BROKER_PORT", media_server.mqtt_url.rpartition(":")[2])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    draw_photo(path, size=(640, 480))
    return path


@pytest.mark.parametrize("provider", [None, NoAuthProvider(), JWTAuthProvider(token="a.b.c")])
async def test_making_one_starts_nothing(
    provider: NoAuthProvider | JWTAuthProvider | None,
) -> None:
    before = threading.active_count()
    client = ComputeClient(auth_provider=provider)
    await client.close()
    assert threading.active_count() == before
    async with ComputeClient(auth_provider=provider) as client:
        assert (await client.health()).status == "healthy"
        assert await client.mqtt_monitor.wait_connected(SECONDS)


async def test_many_requests_through_few_connections() -> None:
    async with ComputeClient(pool_size=10, pool_maxsize=20) as client:
        assert (client.config.pool_size, client.config.pool_maxsize) == (10, 20)
        answers = await asyncio.gather(*(client.health() for _ in range(100)))
        assert {answer.status for answer in answers} == {"healthy"}


async def test_progress_and_completion_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    done = asyncio.Event()

    def on_progress(job: JobResponse[HashOutput]) -> None:
        print(f"at {job.progress}")  # noqa: T201 - as applications do

    def on_complete(job: JobResponse[HashOutput]) -> None:
        print(f"ended: {job.status}")  # noqa: T201
        done.set()

    async with ComputeClient() as client:
        job = await client.hash.compute(b"x", on_progress=on_progress, on_complete=on_complete)
        assert job.job_id
        await soon(done.wait())
    *progress, end = capsys.readouterr().out.splitlines()
    assert end == "ended: completed"
    assert all(line.startswith("at ") for line in progress)


async def test_four_plugins_on_one_picture(image: Path) -> None:
    async with ComputeClient() as client:
        exif_job = await client.exif.extract(image, wait=True)
        thumb_job = await client.media_thumbnail.generate(image, 256, 256, wait=True)
        clip_job = await client.clip_embedding.embed_image(image, wait=True)
        hash_job = await client.hash.compute(image, wait=True)
        jobs = [exif_job, thumb_job, clip_job, hash_job]
        assert all(job.status == "completed" for job in jobs)
        submitted = [await client.exif.extract(image), await client.media_thumbnail.generate(image, 256, 256)]
        ended = [await client.wait_for_job(job.job_id, timeout=SECONDS) for job in submitted]
        assert all(job.status == "completed" for job in ended)
        output: JSONObject | None = clip_job.task_output
        assert output is not None
        assert output["embedding_dim"] == len(await client.clip_embedding.load(clip_job))


async def test_what_is_kept_in_memory() -> None:
    async with ComputeClient() as client:
        capabilities = await client.get_capabilities(cache=True, ttl=60)
        assert capabilities.capabilities["clip_embedding"] > 0
        assert await client.get_capabilities(cache=True, ttl=60) is capabilities
        job = await client.hash.compute(b"x", wait=True)
        result = await client.get_job(job.job_id, cache=True)
        assert result.status == "completed"
        assert await client.get_job(job.job_id, cache=True) is result
        assert await client.get_job(job.job_id) is not result


async def test_one_file_and_several_at_once(image: Path, tmp_path: Path) -> None:
    async with ComputeClient() as client:
        job = await client.clip_embedding.embed_image(image, wait=True)
        dest = tmp_path / "one.npy"
        await client.download_job_file(job.job_id, str(job.params["output_path"]), dest)
        folder = tmp_path / "results/"
        paths = await client.download_job_files(
            job.job_id, files=["output/clip_embedding.npy", "input/photo.jpg"], dest_dir=folder
        )
        assert [path.relative_to(folder).as_posix() for path in paths] == [
            "output/clip_embedding.npy",
            "input/photo.jpg",
        ]
        assert dest.read_bytes() == paths[0].read_bytes()
        assert paths[1].read_bytes() == image.read_bytes()
        with pytest.raises(JobFilesError, match=r"output/metadata\.json"):
            await client.download_job_files(
                job.job_id, ["output/clip_embedding.npy", "output/metadata.json"], tmp_path / "none"
            )
        assert not list(tmp_path.glob("none/**/*.npy"))


async def test_a_way_out_of_the_job_is_refused(tmp_path: Path) -> None:
    async with ComputeClient() as client:
        job = await client.hash.compute(b"x", wait=True)
        with pytest.raises(ValueError, match=r"\.\."):
            await client.download_job_file(job.job_id, "../other/output/hash.json", tmp_path / "x")


async def test_calls_for_capabilities_at_the_same_time_share_one_request() -> None:
    server = StubServer(http_response("200 OK", '{"num_workers": 1, "capabilities": {"hash": 1}}'))
    async with server.running() as client:
        answers = await asyncio.gather(*(client.get_capabilities() for _ in range(5)))
        await client.with_options(max_retries=0).get_capabilities()
    assert [one.capabilities for one in answers] == [{"hash": 1}] * 5
    assert len(server.requests) == 2
