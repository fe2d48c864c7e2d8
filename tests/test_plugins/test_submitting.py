"""The plugins against a live server: the local one, or any other with --server-url and --mqtt-url."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cl_client import InvalidParameterError, JobFailedError, JobNotFoundError, JobResponse
<<<<<<< HEAD
from cl_client.local.samples import draw_photo, draw_video
from patience import SECONDS, soon
=======
>>>>>>> 2a3fff2 (Give each plugin a test file of its own)

if TYPE_CHECKING:
    from cl_client import ComputeClient


<<<<<<< HEAD
@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    draw_photo(path, size=(640, 480))
    return path


@pytest.mark.parametrize("algorithm", ["sha512", "md5"])
async def test_hash(compute_client: ComputeClient, photo: Path, tmp_path: Path, algorithm: str) -> None:
    job = await compute_client.hash.compute(
        photo, algorithm="md5" if algorithm == "md5" else "sha512", wait=True, timeout=SECONDS
    )
    assert job.output.media_type == "image"
    file = await compute_client.download_job_file(job.job_id, "output/hash.json", tmp_path)
    assert (
        json.loads(file.read_text())["hash_value"] == hashlib.new(algorithm, photo.read_bytes()).hexdigest()
    )


async def test_exif(compute_client: ComputeClient, photo: Path) -> None:
    job = await compute_client.exif.extract(photo, wait=True, timeout=SECONDS)
    assert job.status == "completed"
    assert any(key.endswith("Model") for key in job.output.raw_metadata)


async def test_image_conversion(compute_client: ComputeClient, photo: Path, tmp_path: Path) -> None:
    job = await compute_client.image_conversion.convert(photo, "webp", quality=80, wait=True, timeout=SECONDS)
    assert job.status == "completed"
    target = tmp_path / "new folder" / "photo.webp"
    seen: list[tuple[int, int | None]] = []
    await compute_client.download_job_file(
        job.job_id,
        "output/converted_photo.webp",
        target,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    with Image.open(target) as picture:
        assert (picture.format, picture.size) == ("WEBP", (640, 480))
    assert seen[-1] == (target.stat().st_size, target.stat().st_size)
    assert [path.name for path in target.parent.iterdir()] == ["photo.webp"]


async def test_media_thumbnail_of_a_picture(
    compute_client: ComputeClient, photo: Path, tmp_path: Path
) -> None:
    job = await compute_client.media_thumbnail.generate(photo, width=128, wait=True, timeout=SECONDS)
    assert job.output.media_type == "image"
    file = await compute_client.download_job_file(job.job_id, "output/thumbnail.jpg", tmp_path)
    with Image.open(file) as picture:
        assert (picture.format, picture.size) == ("JPEG", (128, 96))


async def test_media_thumbnail_of_a_video(compute_client: ComputeClient, tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    draw_video(video, seconds=1)
    job = await compute_client.media_thumbnail.generate(
        video, 128, 128, maintain_aspect_ratio=False, wait=True, timeout=SECONDS
    )
    if job.status == "failed":  # servers of generation A cannot do it, and say so
        assert job.error_message
        return
    file = await compute_client.download_job_file(job.job_id, "output/thumbnail.jpg", tmp_path)
    with Image.open(file) as picture:
        assert picture.size == (128, 128)


=======
>>>>>>> 2a3fff2 (Give each plugin a test file of its own)
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
