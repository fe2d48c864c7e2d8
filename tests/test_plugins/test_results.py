"""What jobs leave behind, fetched with the plugins' helpers from the oldest and newest servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cl_client import (
    InvalidParameterError,
    InvalidResponseError,
    JobFailedError,
    JobFileNotFoundError,
    JobNotFinishedError,
    JobResponse,
)
from written_files_task import script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import JsonValue

    from cl_client import ComputeClient, JSONObject


async def test_a_result_is_read_and_downloaded(writing_client: ComputeClient, tmp_path: Path) -> None:
    thumbnail = writing_client.media_thumbnail
    job = await thumbnail.generate(script({"output/thumbnail.jpg": b"jpeg"}), wait=True)
    assert await thumbnail.read(job) == b"jpeg"
    assert await thumbnail.read(job, max_bytes=4) == b"jpeg"
    with pytest.raises(
        InvalidResponseError, match=r"output/thumbnail\.jpg: larger than the limit of 3 bytes"
    ):
        await thumbnail.read(job, max_bytes=3)
    seen: list[tuple[int, int | None]] = []
    path = await thumbnail.download(job, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert (path, path.read_bytes(), seen) == (tmp_path / "thumbnail.jpg", b"jpeg", [(4, 4)])
    path = await thumbnail.download(await writing_client.get_job(job.job_id), tmp_path / "new" / "a.jpg")
    assert path.read_bytes() == b"jpeg"


async def test_everything_a_job_leaves_is_downloaded(writing_client: ComputeClient, tmp_path: Path) -> None:
    box: JSONObject = {"x1": 0.1, "y1": 0.1, "x2": 0.2, "y2": 0.2}
    faces: list[JsonValue] = [
        {"bbox": box, "confidence": 0.9, "file_path": f"faces/face_{n}.png"} for n in range(2)
    ]
    left = {"output/face_detection.json": b"{}", "faces/face_0.png": b"0", "faces/face_1.png": b"1"}
    detected = await writing_client.face_detection.detect(script(left, {"faces": faces}), wait=True)
    paths = await writing_client.download_job_outputs(detected, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [*left]
    oddly_named = {"output/dino_embedding.nb.npy": b"A", "output/dino_embedding.npy": b"later"}
    embedded = await writing_client.dino_embedding.embed_image(script(oddly_named), wait=True)
    (path,) = await writing_client.download_job_outputs(embedded, tmp_path)
    assert path.name in {"dino_embedding.nb.npy", "dino_embedding.npy"}
    running = await writing_client.hash.compute(script({}))
    with pytest.raises(JobNotFinishedError):
        await writing_client.download_job_outputs(running, tmp_path)


async def test_a_job_without_a_result(
    writing_client: ComputeClient, tmp_path: Path, names_below: Callable[[Path], set[str]]
) -> None:
    thumbnail = writing_client.media_thumbnail
    failed = await thumbnail.generate(script({"output/thumbnail.jpg": b"x"}, fail="no codec"), wait=True)
    with pytest.raises(JobFailedError, match="no codec"):
        await thumbnail.read(failed)
    nothing = await thumbnail.generate(script(), wait=True)
    with pytest.raises(JobFileNotFoundError):
        await thumbnail.download(nothing, tmp_path / "a.jpg")
    with pytest.raises(InvalidParameterError, match="has the task media_thumbnail; expected hash"):
        await writing_client.hash.load(nothing)
    queued = JobResponse(job_id="j", task_type="hash", status=failed.status.QUEUED, raw_status="queued")
    with pytest.raises(JobNotFinishedError):
        await writing_client.hash.load(queued)
    assert names_below(tmp_path) == set()


@pytest.mark.parametrize("path", [None, 7, "", "/etc/passwd", "output/../../x", "C:/x"])
async def test_a_hostile_result_path(writing_client: ComputeClient, path: str | int | None) -> None:
    job = await writing_client.hash.compute(script({"output/hash.json": b"{}"}), wait=True)
    told = job.model_copy(update={"params": {"output_path": path}})
    with pytest.raises(InvalidResponseError, match="is not a path below a job"):
        await writing_client.hash.load(told)


async def test_typed_output_of_a_job_that_was_taken_up_by_its_id(writing_client: ComputeClient) -> None:
    job = await writing_client.hash.compute(script(output={"media_type": "video"}), wait=True)
    assert writing_client.hash.output(await writing_client.get_job(job.job_id)).media_type == "video"
