"""DINO embeddings of pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from PIL import Image

from cl_client import ComputeClient, InvalidParameterError, JobResponse, JSONObject
from plugin_checks import check_fields, check_refused

if TYPE_CHECKING:
    from pathlib import Path

    from server_under_test import ServerUnderTest


async def test_from_the_file_to_the_result(live_client: ComputeClient, photo: Path) -> None:
    job = await live_client.dino_embedding.embed_image(photo, wait=True)
    embedding = await live_client.dino_embedding.load(job)
    assert (embedding.shape, embedding.dtype) == ((384,), np.float32)
    assert math.hypot(*cast("list[float]", embedding.tolist())) == pytest.approx(1, abs=1e-3)


async def test_the_output_says_size_and_kind(live_client: ComputeClient, photo: Path) -> None:
    job = await live_client.dino_embedding.embed_image(photo, normalize=False, wait=True)
    assert (job.output.embedding_dim, job.output.normalized) == (384, False)
    as_it_is = await live_client.dino_embedding.load(job)
    job = await live_client.dino_embedding.embed_image(photo, wait=True)
    assert job.output.normalized is True
    assert await live_client.dino_embedding.load(job) == pytest.approx(
        as_it_is / np.linalg.norm(as_it_is), abs=1e-4
    )


async def test_its_file_is_an_array(
    live_client: ComputeClient, server_under_test: ServerUnderTest, photo: Path, tmp_path: Path
) -> None:
    job = await live_client.dino_embedding.embed_image(photo, wait=True)
    (file,) = await live_client.download_job_outputs(job, tmp_path / "left")
    assert file.name == server_under_test.embedding_file("dino_embedding")
    assert cast("object", np.load(file, allow_pickle=False).shape) == (384,)


async def test_many_pictures_are_told_apart(live_client: ComputeClient, photo: Path, tmp_path: Path) -> None:
    with Image.open(photo) as picture:
        picture.resize((320, 240)).save(tmp_path / "small.png")
    Image.new("RGB", (64, 64), "darkred").save(tmp_path / "red.png")
    pictures = [photo, tmp_path / "small.png", tmp_path / "red.png"]
    found = {
        source: await live_client.dino_embedding.load(job)
        async for source, job in live_client.dino_embedding.embed_images(pictures, concurrency=3)
        if isinstance(job, JobResponse)
    }
    large, small, red = (found[picture] for picture in pictures)
    assert float(large @ small) > float(large @ red)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, {"normalize": "true"}),
        ({"normalize": False}, {"normalize": "false"}),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "dino_embedding", values, fields)


@pytest.mark.parametrize("values", [{"normalize": "maybe"}, {"normalize": None}, {"normalise": True}])
async def test_what_is_refused(silent_client: ComputeClient, values: JSONObject) -> None:
    check_refused(silent_client, "dino_embedding", values, *values)


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    embed_image = silent_client.dino_embedding.embed_image
    with pytest.raises(InvalidParameterError, match="dino_embedding: normalize=None"):
        await embed_image(b"x", normalize=cast("bool", cast("object", None)))
    with pytest.raises(InvalidParameterError, match="empty"):
        await embed_image(b"")
    with pytest.raises(InvalidParameterError, match=r"missing\.jpg"):
        await embed_image(tmp_path / "missing.jpg")
    with pytest.raises(InvalidParameterError, match="concurrency=0"):
        silent_client.dino_embedding.embed_images([b"x"], concurrency=0)
