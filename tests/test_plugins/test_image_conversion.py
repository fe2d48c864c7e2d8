"""Pictures in another format."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast, get_args

import pytest
from PIL import Image

from cl_client import ComputeClient, ImageFormat, InvalidParameterError, JobResponse, JSONObject
from cl_client.plugins.image_conversion import ImageConversionOutput, ImageConversionParams
from patience import SECONDS
from plugin_checks import check_fields, check_refused
from written_files_task import script

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = {
    "png": ("PNG", "png"),
    "jpg": ("JPEG", "jpg"),
    "jpeg": ("JPEG", "jpg"),
    "webp": ("WEBP", "webp"),
    "gif": ("GIF", "gif"),
    "bmp": ("BMP", "bmp"),
    "tiff": ("TIFF", "tiff"),
}
"""What Pillow calls each format, and how its file ends."""


async def test_from_the_file_to_the_result(live_client: ComputeClient, photo: Path, tmp_path: Path) -> None:
    job = await live_client.image_conversion.convert(photo, "png", wait=True)
    (tmp_path / "results").mkdir()
    with Image.open(await live_client.image_conversion.download(job, tmp_path / "results")) as picture:
        assert (picture.format, picture.size) == ("PNG", (640, 480))


async def test_what_the_result_does_not_have(local_client: ComputeClient, tmp_path: Path) -> None:
    sticker = tmp_path / "sticker.png"
    Image.new("RGBA", (20, 20), (200, 0, 0, 90)).save(sticker)
    job = await local_client.image_conversion.convert(sticker, "jpg", wait=True)
    assert job.output is not None
    assert job.output.dropped == ("transparency",)


@pytest.mark.parametrize(("sent", "read"), [(["EXIF", 5], ("EXIF",)), ("EXIF", ()), (None, ())])
def test_a_server_that_tells_nothing_or_no_list(sent: object, read: tuple[str, ...]) -> None:
    assert ImageConversionOutput.model_validate({}).dropped == ()
    assert ImageConversionOutput.model_validate({"dropped": sent}).dropped == read


async def test_the_file_arrives_as_a_whole_in_a_new_folder(
    live_client: ComputeClient, photo: Path, tmp_path: Path
) -> None:
    job = await live_client.image_conversion.convert(photo, "webp", quality=80, wait=True, timeout=SECONDS)
    assert job.status == "completed"
    target = tmp_path / "new folder" / "photo.webp"
    seen: list[tuple[int, int | None]] = []
    await live_client.download_job_file(
        job.job_id,
        "output/converted_photo.webp",
        target,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    with Image.open(target) as picture:
        assert (picture.format, picture.size) == ("WEBP", (640, 480))
    assert seen[-1] == (target.stat().st_size, target.stat().st_size)
    assert [path.name for path in target.parent.iterdir()] == ["photo.webp"]


@pytest.mark.parametrize("name", get_args(ImageFormat))
async def test_every_format(live_client: ComputeClient, tmp_path: Path, name: str) -> None:
    Image.new("RGB", (32, 24), "darkgreen").save(tmp_path / "green.png")
    job = await live_client.image_conversion.convert(
        tmp_path / "green.png", cast("ImageFormat", name), wait=True
    )
    called, ending = FORMATS[name]
    assert live_client.image_conversion.output_path(job) == f"output/converted_green.{ending}"
    with Image.open(io.BytesIO(await live_client.image_conversion.read(job))) as picture:
        assert (picture.format, picture.size) == (called, (32, 24))


async def test_less_quality_takes_fewer_bytes(live_client: ComputeClient, photo: Path) -> None:
    lengths: list[int] = []
    for quality in (1, None, 100):
        job = await live_client.image_conversion.convert(photo, "jpg", quality=quality, wait=True)
        lengths.append(len(await live_client.image_conversion.read(job)))
    assert lengths == sorted(set(lengths))


async def test_a_converted_picture(writing_client: ComputeClient) -> None:
    content = script({"output/converted_file.webp": b"webp"})
    job = await writing_client.image_conversion.convert(content, "webp", wait=True)
    assert await writing_client.image_conversion.read(job) == b"webp"


async def test_conversion_needs_its_format(writing_client: ComputeClient) -> None:
    conversion = writing_client.image_conversion
    with pytest.raises(InvalidParameterError, match="image_conversion: format"):
        conversion.map([b"x"])
    outcomes = conversion.map([script()], ImageConversionParams(format="png"))
    assert [job.status async for _, job in outcomes if isinstance(job, JobResponse)] == ["completed"]


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        *(({"format": word}, {"format": word}) for word in FORMATS),
        ({"format": "jpg", "quality": 1}, {"format": "jpg", "quality": "1"}),
        ({"format": "jpg", "quality": 100}, {"format": "jpg", "quality": "100"}),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "image_conversion", values, fields)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"format": "PNG"},
        {"format": "heic"},
        {"format": "jpg", "quality": 0},
        {"format": "jpg", "quality": 101},
    ],
)
async def test_what_is_refused(silent_client: ComputeClient, values: JSONObject) -> None:
    wrong = next(reversed(values), "format")
    check_refused(silent_client, "image_conversion", values, wrong)


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    convert = silent_client.image_conversion.convert
    with pytest.raises(InvalidParameterError, match=r"quality=101: .*less than or equal to 100"):
        await convert(b"x", "webp", quality=101)
    with pytest.raises(InvalidParameterError, match=r"format='heic': .*'png'.*'tiff'"):
        await convert(b"x", cast("ImageFormat", "heic"))
    with pytest.raises(InvalidParameterError, match="empty"):
        await convert(b"", "png")
    with pytest.raises(InvalidParameterError, match=r"missing\.jpg"):
        await convert(tmp_path / "missing.jpg", "png")
