"""The task on a live local server, which the fixture `compute_client` of cl_client starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cl_client import InvalidParameterError
from PIL import Image

from my_task.client import MyTaskClient

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import ComputeClient

SECONDS = 60
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """An image whose left half is white."""
    path = tmp_path / "picture.png"
    image = Image.new("RGB", (64, 48), BLACK)
    image.paste(WHITE, (0, 0, 32, 48))
    image.save(path)
    return path


async def test_an_image(compute_client: ComputeClient, picture: Path, tmp_path: Path) -> None:
    plugin = compute_client.plugin(MyTaskClient)
    job = await plugin.run(picture, strength=3, wait=True, timeout=SECONDS)
    job.raise_for_status()
    assert (job.output.width, job.output.height) == (64, 48)
    with Image.open(await plugin.download(job, tmp_path / "result.png")) as result:
        assert (result.getpixel((0, 24)), result.getpixel((63, 24))) == (WHITE, BLACK)
        assert result.getpixel((32, 24)) not in {BLACK, WHITE}


async def test_a_file_that_is_no_image(compute_client: ComputeClient) -> None:
    job = await compute_client.plugin(MyTaskClient).run(b"text", wait=True, timeout=SECONDS)
    assert job.status == "failed"
    assert "not an image that Pillow can open" in (job.error_message or "")


async def test_parameters_are_checked_before_anything_is_sent(
    compute_client: ComputeClient,
    picture: Path,
) -> None:
    with pytest.raises(InvalidParameterError, match="strength=0"):
        await compute_client.plugin(MyTaskClient).run(picture, strength=0)


async def test_the_package_registers_the_plugin(compute_client: ComputeClient) -> None:
    assert isinstance(compute_client.plugin("my_task"), MyTaskClient)
