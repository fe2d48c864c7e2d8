"""Files by reference: which files a server reads in place, and that it does nothing else to them."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from PIL import Image

from cl_client import JobFailedError, JobResponse, ServerPath, ServerPathRefusedError
from cl_client.local import LocalServer
from cl_client.local.samples import draw_photo, draw_video, write_astronaut
from cl_client.plugins.hls_streaming import HlsVariant
from patience import SECONDS
from shares import json_of, post_path, tree
from small_models import save_small_models

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client import ComputeClient, FileSource, TaskOutput
    from cl_client.local.tasks.job_hook import ClaimedJob


def by_path(path: Path) -> ServerPath:
    return ServerPath(str(path))


TASKS: dict[str, Callable[[ComputeClient, FileSource], Awaitable[JobResponse[TaskOutput]]]] = {
    "clip_embedding": lambda client, file: client.clip_embedding.embed_image(file, wait=True),
    "dino_embedding": lambda client, file: client.dino_embedding.embed_image(file, wait=True),
    "exif": lambda client, file: client.exif.extract(file, tags=["Make", "ImageWidth"], wait=True),
    "face_detection": lambda client, file: client.face_detection.detect(file, wait=True),
    "face_embedding": lambda client, file: client.face_embedding.embed_faces(file, wait=True),
    "hash": lambda client, file: client.hash.compute(file, wait=True),
    "hls_streaming": lambda client, file: client.hls_streaming.generate_manifest(
        file, variants=[HlsVariant(resolution=90, bitrate=100)], include_original=True, wait=True
    ),
    "image_conversion": lambda client, file: client.image_conversion.convert(file, "png", wait=True),
    "media_thumbnail": lambda client, file: client.media_thumbnail.generate(file, width=32, wait=True),
}


async def test_every_task_gives_the_same_as_for_the_uploaded_file(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "media"
    folder.mkdir()
    write_astronaut(folder / "photo.jpg")
    draw_video(folder / "clip.mp4", size=(160, 120), seconds=1)
    before = tree(folder)
    models = save_small_models(tmp_path)
    with LocalServer(workers=1, models_dir=tmp_path, models=models, shared=[folder]) as server:
        async with server.client() as client:
            for task, run in TASKS.items():
                file = folder / ("clip.mp4" if task == "hls_streaming" else "photo.jpg")
                uploaded, referenced = await run(client, file), await run(client, by_path(file))
                assert referenced.raise_for_status().params["input_absolute_path"] == str(file), task
                assert same(referenced) == same(uploaded), task
                jobs = server.data_dir / "jobs"
                assert await contents(client, referenced) == await contents(client, uploaded), task
                assert not (jobs / referenced.job_id / "input").exists(), task
                assert tree(folder) == before, task


def same(job: JobResponse[TaskOutput]) -> object:
    """The output without the job's own id, which an absolute path contains."""
    return str(job.task_output).replace(job.job_id, "")


async def contents(client: ComputeClient, job: JobResponse[TaskOutput]) -> dict[str, bytes]:
    files = await client.plugin(job.task_type).output_files(job)
    found = {name: await client.read_job_file(job.job_id, name) for name in files}
    # Also of an uploaded file: the hash has the time that it took, and H.264 is not always encoded the same.
    varies = ("output/hash.json", ".ts")
    return {name: b"" if name.endswith(varies) and "orig" not in name else found[name] for name in found}


async def test_a_video_is_read_in_place(sharing: LocalServer, share: Path) -> None:
    draw_video(share / "clip.mov", size=(64, 48), seconds=1)
    async with sharing.client() as client:
        job = await client.media_thumbnail.generate(by_path(share / "clip.mov"), wait=True)
        assert job.raise_for_status().task_output == {"media_type": "video"}


async def test_params(sharing: LocalServer, share: Path) -> None:
    async with sharing.client() as client:
        job = await client.image_conversion.convert(by_path(share / "a.jpg"), "webp", wait=True)
        assert job.params["input_path"] == ""
        assert job.params["output_path"] == "output/converted_a.webp"
        assert (await client.image_conversion.read(job))[:4] == b"RIFF"


async def test_params_of_a_stream_are_those_of_the_newest_real_servers(tmp_path: Path, share: Path) -> None:
    draw_video(share / "clip.mp4", size=(64, 48), seconds=1)
    variants = [HlsVariant(resolution=48, bitrate=100)]
    with LocalServer(workers=1, generation="C2", shared=[share]) as server:
        async with server.client() as client:
            job = await client.hls_streaming.generate_manifest(
                by_path(share / "clip.mp4"), variants=variants, wait=True, raise_on_failure=True
            )
            assert job.params == {
                "input_path": "",
                "output_path": "",
                "input_absolute_path": str(share / "clip.mp4"),
                "output_absolute_path": "output",
                "variants": [{"resolution": 48, "bitrate": 100}],
                "include_original": False,
            }
            assert client.hls_streaming.output_path(job) == "output"
            assert (await client.hls_streaming.download(job, tmp_path / "stream")).is_file()


async def test_there_is_no_input_to_download(sharing: LocalServer, share: Path) -> None:
    async with sharing.client() as client:
        job = await client.hash.compute(by_path(share / "a.jpg"), wait=True)
        with pytest.raises(Exception, match=r"File not found: input/a\.jpg \(HTTP 404\)"):
            await client.read_job_file(job.job_id, "input/a.jpg")


async def test_deleting_and_cleaning_up_keep_the_file(sharing: LocalServer, share: Path) -> None:
    before = tree(share)
    async with sharing.client() as client:
        first = await client.image_conversion.convert(by_path(share / "a.jpg"), "png", wait=True)
        await client.delete_job(first.job_id)
        await client.image_conversion.convert(by_path(share / "a.jpg"), "png", wait=True)
        assert (await client.admin.cleanup(days=0)).deleted_count == 1
    sharing.delete_jobs()
    assert tree(share) == before


async def test_storage_does_not_count_the_file(sharing: LocalServer, share: Path) -> None:
    (share / "large.bin").write_bytes(bytes(1_000_000))
    async with sharing.client() as client:
        await client.hash.compute(by_path(share / "large.bin"), wait=True)
        assert (await client.admin.storage()).total_size < 10_000


NAMES = [
    "Überraschung 🎉.jpg",
    "e\u0301.jpg",
    " spaces .jpg ",
    "semi;colon|pipe?.jpg",
    "new\nline.jpg",
    "per%cent%d.jpg",
    "-option.jpg",
    "back\\slash.jpg",
    '"quoted".jpg',
    "con.jpg",
    "n" * 240 + ".jpg",
]


@pytest.mark.skipif(os.name != "posix", reason="names that other systems do not allow")
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_odd_names(sharing: LocalServer, share: Path, name: str) -> None:
    (share / "a.jpg").rename(share / name)
    async with sharing.client() as client:
        source = by_path(share / name)
        job = await client.image_conversion.convert(source, "png", wait=True, raise_on_failure=True)
        path = client.image_conversion.output_path(job)
        assert path.startswith("output/converted_")
        assert "/" not in path.removeprefix("output/")
        assert len(path.removeprefix("output/").encode()) <= 255
        assert (await client.image_conversion.read(job))[:4] == b"\x89PNG"
        tags = await client.exif.extract(source, wait=True, raise_on_failure=True)
        assert tags.output.image_width == 64
    assert {path.name for path in share.iterdir()} == {name}


@pytest.mark.skipif(os.name != "posix", reason="names that other systems do not allow")
async def test_exiftool_does_not_run_a_name_as_a_command(sharing: LocalServer, share: Path) -> None:
    (share / "a.jpg").rename(share / "a;touch b|")
    async with sharing.client() as client:
        await client.exif.extract(by_path(share / "a;touch b|"), wait=True)
    assert {path.name for path in share.iterdir()} == {"a;touch b|"}


class TestWhatIsNotShared:
    """There is one answer, whatever is there."""

    def refused(self, server: LocalServer, path: Path | str) -> None:
        answer = post_path(server, path)
        expected = (
            f"No shared file: {path}; it must be a regular file below a shared folder, readable by the server"
        )
        assert (answer.status_code, answer.json()) == (404, {"detail": expected})

    def test_outside_of_the_folder(self, sharing: LocalServer, share: Path) -> None:
        outside = share.parent / "outside.jpg"
        outside.write_bytes(b"x")
        self.refused(sharing, outside)
        self.refused(sharing, share.parent / "missing.jpg")
        self.refused(sharing, share.parent / "photos2" / "a.jpg")
        self.refused(sharing, "relative.jpg")
        self.refused(sharing, "photos/a.jpg")

    def test_dots(self, sharing: LocalServer, share: Path) -> None:
        (share.parent / "outside.jpg").write_bytes(b"x")
        self.refused(sharing, f"{share}/../outside.jpg")
        self.refused(sharing, f"{share}/../photos/a.jpg")
        self.refused(sharing, f"{share}/x/../a.jpg")

    def test_links_that_lead_out(self, sharing: LocalServer, share: Path) -> None:
        outside = share.parent / "private"
        outside.mkdir()
        (outside / "secret.jpg").write_bytes(b"x")
        (share / "file.jpg").symlink_to(outside / "secret.jpg")
        (share / "folder").symlink_to(outside)
        (share / "loop.jpg").symlink_to("loop.jpg")
        (share / "dangling.jpg").symlink_to("missing.jpg")
        for name in ("file.jpg", "folder/secret.jpg", "folder/missing.jpg", "loop.jpg", "dangling.jpg"):
            self.refused(sharing, share / name)

    def test_missing_and_folders(self, sharing: LocalServer, share: Path) -> None:
        (share / "folder").mkdir()
        for path in (share / "missing.jpg", share / "folder", share, share / "a.jpg" / "b.jpg"):
            self.refused(sharing, path)
        self.refused(sharing, share / ("n" * 300))
        self.refused(sharing, share / "A.JPG" if not (share / "A.JPG").exists() else share / "b.jpg")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
    def test_fifos_and_devices(self, sharing: LocalServer, share: Path) -> None:
        os.mkfifo(share / "fifo")
        self.refused(sharing, share / "fifo")
        with LocalServer(workers=1, shared=[Path("/dev")]) as server:
            self.refused(server, "/dev/null")

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
    def test_unreadable(self, sharing: LocalServer, share: Path) -> None:
        (share / "a.jpg").chmod(0)
        self.refused(sharing, share / "a.jpg")

    @pytest.mark.skipif(os.name != "posix", reason="names that are not Unicode")
    def test_a_link_to_a_name_that_is_not_unicode(self, sharing: LocalServer, share: Path) -> None:
        (share / "a.jpg").rename(share / os.fsdecode(b"\xff.jpg"))
        (share / "link.jpg").symlink_to(os.fsdecode(b"\xff.jpg"))
        self.refused(sharing, share / "link.jpg")

    def test_the_data_folder(self, tmp_path: Path) -> None:
        data = tmp_path.resolve() / "data"
        with LocalServer(workers=1, data_dir=data, shared=[tmp_path.resolve()]) as server:
            self.refused(server, data / "jobs.sqlite3")


async def test_links_within_the_shares_are_followed(tmp_path: Path, share: Path) -> None:
    other = tmp_path.resolve() / "other"
    other.mkdir()
    draw_photo(other / "b.jpg", size=(80, 60))
    (share / "b.jpg").symlink_to(other / "b.jpg")
    (tmp_path / "alias").symlink_to(share)
    with LocalServer(workers=1, shared=[tmp_path / "alias", other]) as server:
        async with server.client() as client:
            # By the name that is shared, and by the real one.
            for path in (tmp_path / "alias" / "b.jpg", share / "b.jpg"):
                job = await client.hash.compute(by_path(path), wait=True, raise_on_failure=True)
                assert job.params["input_absolute_path"] == str(path)


async def test_an_empty_file_fails_as_an_uploaded_one(sharing: LocalServer, share: Path) -> None:
    (share / "empty.jpg").touch()
    async with sharing.client() as client:
        with pytest.raises(JobFailedError, match=r"empty\.jpg: the file is empty"):
            await client.media_thumbnail.generate(
                by_path(share / "empty.jpg"), wait=True, raise_on_failure=True
            )


async def failure(server: LocalServer, path: Path, change: Callable[[], object]) -> str:
    """What a job fails with whose file changes after its submit, and before it runs."""

    async def hook(_job: ClaimedJob) -> None:
        await asyncio.to_thread(change)

    server.before_job = hook
    async with server.client() as client:
        job = await client.hash.compute(by_path(path), wait=True, timeout=SECONDS)
        assert job.error_message is not None
        return job.error_message


async def test_a_file_that_vanished(sharing: LocalServer, share: Path) -> None:
    message = await failure(sharing, share / "a.jpg", (share / "a.jpg").unlink)
    assert message.startswith(f"No shared file: {share / 'a.jpg'}")


async def test_a_file_that_changed(sharing: LocalServer, share: Path) -> None:
    message = await failure(sharing, share / "a.jpg", lambda: (share / "a.jpg").write_bytes(b"new"))
    assert message == f"{share / 'a.jpg'} has changed since the job was submitted; submit it again"


async def test_a_file_that_became_a_link(sharing: LocalServer, share: Path) -> None:
    secret = share.parent / "secret.jpg"
    shutil.copy2(share / "a.jpg", secret)  # of the same size and time

    def swap() -> None:
        (share / "a.jpg").unlink()
        (share / "a.jpg").symlink_to(secret)

    assert (await failure(sharing, share / "a.jpg", swap)).startswith("No shared file: ")


async def test_a_folder_that_became_a_link(sharing: LocalServer, share: Path) -> None:
    (share / "sub").mkdir()
    (share / "a.jpg").rename(share / "sub" / "a.jpg")

    def swap() -> None:
        (share / "sub").rename(share.parent / "moved")
        (share / "sub").symlink_to(share.parent / "moved")

    assert (await failure(sharing, share / "sub" / "a.jpg", swap)).startswith("No shared file: ")


class TestAfterARestart:
    async def queued(self, data: Path, share: Path) -> str:
        """A job that no worker has claimed yet."""
        with LocalServer(workers=1, data_dir=data, shared=[share]) as server:
            server.stop_workers()
            async with server.client() as client:
                return (await client.hash.compute(by_path(share / "a.jpg"))).job_id

    async def test_it_runs(self, tmp_path: Path, share: Path) -> None:
        job_id = await self.queued(tmp_path / "data", share)
        with LocalServer(workers=1, data_dir=tmp_path / "data", shared=[share]) as server:
            async with server.client() as client:
                job = await client.wait_for_job(job_id, timeout=SECONDS, raise_on_failure=True)
                assert job.params["input_absolute_path"] == str(share / "a.jpg")

    async def test_it_fails_where_nothing_is_shared_any_more(self, tmp_path: Path, share: Path) -> None:
        job_id = await self.queued(tmp_path / "data", share)
        with LocalServer(workers=1, data_dir=tmp_path / "data") as server:
            async with server.client() as client:
                job = await client.wait_for_job(job_id, timeout=SECONDS)
                assert (job.error_message or "").startswith("No shared file: ")

    async def test_it_fails_if_the_file_changed_meanwhile(self, tmp_path: Path, share: Path) -> None:
        job_id = await self.queued(tmp_path / "data", share)
        Image.new("RGB", (5, 5)).save(share / "a.jpg")
        with LocalServer(workers=1, data_dir=tmp_path / "data", shared=[share]) as server:
            async with server.client() as client:
                job = await client.wait_for_job(job_id, timeout=SECONDS)
                assert "has changed since the job was submitted" in (job.error_message or "")


async def test_a_different_file_on_the_other_machine(sharing: LocalServer, share: Path) -> None:
    there = ServerPath.of(share / "a.jpg")
    async with sharing.client() as client:
        await client.hash.compute(there, wait=True, raise_on_failure=True)
        for wrong in (
            ServerPath(there.path, size=(there.size or 0) + 1),
            ServerPath(there.path, modified=(there.modified or 0) - 1),
        ):
            with pytest.raises(ServerPathRefusedError, match="has a different file at") as refused:
                await client.hash.compute(wrong)
            assert refused.value.status_code == 409


def test_numbers_are_checked(sharing: LocalServer, share: Path) -> None:
    answer = post_path(sharing, share / "a.jpg", input_size="many", priority="11")
    assert answer.status_code == 422
    assert '"loc":["body","input_size"]' in answer.text
    assert '"loc":["body","priority"]' in answer.text


def test_a_file_goes_before_a_path(sharing: LocalServer, share: Path) -> None:
    form = {"file": ("b.jpg", b"x"), "input_absolute_path": (None, str(share / "a.jpg"))}
    answer = httpx.post(f"{sharing.base_url}/jobs/hash", files=form)
    assert answer.status_code == 200
    job = JobResponse.model_validate_json(
        httpx.get(f"{sharing.base_url}/jobs/{json_of(answer)['job_id']}").content
    )
    assert job.params["input_path"] == "input/b.jpg"


def test_it_writes_nowhere_else(sharing: LocalServer, share: Path) -> None:
    answer = post_path(
        sharing, share / "a.jpg", task="hls_streaming", output_absolute_path=str(share / "stream")
    )
    assert answer.status_code == 400
    assert str(json_of(answer)["detail"]).startswith("output_absolute_path: ")
    assert not (share / "stream").exists()
