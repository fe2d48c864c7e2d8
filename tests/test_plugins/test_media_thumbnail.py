"""Small pictures of pictures and videos."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

import pytest
from PIL import Image

from cl_client import ComputeClient, InvalidParameterError, JSONObject
from cl_client.local.samples import draw_video
from patience import SECONDS
from plugin_checks import check_fields, check_refused

if TYPE_CHECKING:
    from pathlib import Path

    from server_under_test import ServerUnderTest


async def test_from_the_file_to_the_result(live_client: ComputeClient, photo: Path, tmp_path: Path) -> None:
    job = await live_client.media_thumbnail.generate(photo, width=64, wait=True)
    (tmp_path / "results").mkdir()
    small = tmp_path / "results" / "small.jpg"
    with Image.open(await live_client.media_thumbnail.download(job, small)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 48))


async def test_media_thumbnail_of_a_picture(live_client: ComputeClient, photo: Path, tmp_path: Path) -> None:
    job = await live_client.media_thumbnail.generate(photo, width=128, wait=True, timeout=SECONDS)
    assert job.output.media_type == "image"
    file = await live_client.download_job_file(job.job_id, "output/thumbnail.jpg", tmp_path)
    with Image.open(file) as picture:
        assert (picture.format, picture.size) == ("JPEG", (128, 96))


async def test_media_thumbnail_of_a_video(
    live_client: ComputeClient, server_under_test: ServerUnderTest, tmp_path: Path
) -> None:
    video = tmp_path / "clip.mp4"
    draw_video(video, seconds=1)
    job = await live_client.media_thumbnail.generate(
        video, 128, 128, maintain_aspect_ratio=False, wait=True, timeout=SECONDS
    )
    if server_under_test.fails_at(job):
        return
    file = await live_client.download_job_file(job.job_id, "output/thumbnail.jpg", tmp_path)
    with Image.open(file) as picture:  # real servers keep the shape
        assert server_under_test.agrees(picture.size, (128, 128), on_real_servers=(128, picture.height))


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ((None, 48, True), (64, 48)),
        ((64, 64, True), (64, 48)),
        ((64, 64, False), (64, 64)),
        ((1, 1, False), (1, 1)),
    ],
)
async def test_the_box_that_it_fits_into(
    live_client: ComputeClient,
    server_under_test: ServerUnderTest,
    photo: Path,
    asked: tuple[int | None, int, bool],
    size: tuple[int, int],
) -> None:
    *box, shape = asked
    job = await live_client.media_thumbnail.generate(photo, *box, maintain_aspect_ratio=shape, wait=True)
    with Image.open(io.BytesIO(await live_client.media_thumbnail.read(job))) as picture:
        assert picture.format == "JPEG"
        # Real servers do not keep the shape of a picture where both sides are given.
        assert server_under_test.agrees(picture.size, size, on_real_servers=asked[:2])


async def test_without_a_box_the_server_chooses(
    live_client: ComputeClient, server_under_test: ServerUnderTest, photo: Path
) -> None:
    job = await live_client.media_thumbnail.generate(photo, wait=True)
    assert live_client.media_thumbnail.output_path(job) == "output/thumbnail.jpg"
    with Image.open(io.BytesIO(await live_client.media_thumbnail.read(job))) as picture:
        width, height = picture.size
    assert 0 < width < 640
    assert server_under_test.agrees(height, pytest.approx(width * 3 / 4, abs=1), on_real_servers=width)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, {"maintain_aspect_ratio": "true"}),
        (
            {"width": 1, "height": 2, "maintain_aspect_ratio": False},
            {"width": "1", "height": "2", "maintain_aspect_ratio": "false"},
        ),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "media_thumbnail", values, fields)


@pytest.mark.parametrize(
    "values", [{"width": 0}, {"height": -1}, {"width": 1.5}, {"maintain_aspect_ratio": "perhaps"}]
)
async def test_what_is_refused(silent_client: ComputeClient, values: JSONObject) -> None:
    check_refused(silent_client, "media_thumbnail", values, *values)


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    generate = silent_client.media_thumbnail.generate
    with pytest.raises(InvalidParameterError, match=r"width=0: .*greater than 0.*height=-1"):
        await generate(b"x", 0, -1)
    with pytest.raises(InvalidParameterError, match="maintain_aspect_ratio='perhaps'"):
        await generate(b"x", maintain_aspect_ratio=cast("bool", cast("object", "perhaps")))
    with pytest.raises(InvalidParameterError, match="empty"):
        await generate(b"", 64)
    with pytest.raises(InvalidParameterError, match=r"missing\.mp4"):
        await generate(tmp_path / "missing.mp4", 64)
