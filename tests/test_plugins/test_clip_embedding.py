"""CLIP embeddings of pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from cl_client import ComputeClient, InvalidParameterError, JobResponse, JSONObject
from plugin_checks import check_fields, check_refused
from written_files_task import script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def test_from_the_file_to_the_result(live_client: ComputeClient, photo: Path) -> None:
    job = await live_client.clip_embedding.embed_image(photo, wait=True)
    embedding = await live_client.clip_embedding.load(job)
    assert (embedding.shape, embedding.dtype) == ((512,), np.float32)
    assert math.hypot(*cast("list[float]", embedding.tolist())) == pytest.approx(1, abs=1e-3)


async def test_the_output_says_size_and_kind(live_client: ComputeClient, photo: Path) -> None:
    job = await live_client.clip_embedding.embed_image(photo, normalize=False, wait=True)
    assert (job.output.embedding_dim, job.output.normalized) == (512, False)
    as_it_is = await live_client.clip_embedding.load(job)
    job = await live_client.clip_embedding.embed_image(photo, wait=True)
    assert job.output.normalized is True
    assert await live_client.clip_embedding.load(job) == pytest.approx(
        as_it_is / np.linalg.norm(as_it_is), abs=1e-4
    )


async def test_its_file_is_an_array(live_client: ComputeClient, photo: Path, tmp_path: Path) -> None:
    job = await live_client.clip_embedding.embed_image(photo, wait=True)
    assert live_client.clip_embedding.output_path(job) == "output/clip_embedding.npy"
    (file,) = await live_client.download_job_outputs(job, tmp_path / "left")
    assert cast("object", np.load(file, allow_pickle=False).shape) == (512,)


async def test_many_pictures(live_client: ComputeClient, photo: Path) -> None:
    outcomes = live_client.clip_embedding.embed_images([photo, b"no picture"], normalize=False)
    jobs = {source: job async for source, job in outcomes if isinstance(job, JobResponse)}
    assert (jobs[photo].output.embedding_dim, jobs[photo].output.normalized) == (512, False)
    assert jobs[b"no picture"].status == "failed"


async def test_embedding_many_from_an_asynchronous_source(writing_client: ComputeClient) -> None:
    async def pictures() -> AsyncIterator[bytes]:
        for number in range(3):
            yield script(output={"embedding_dim": number})

    embedding = writing_client.clip_embedding
    dims = [
        embedding.output(job).embedding_dim
        async for _, job in embedding.embed_images(pictures(), normalize=False, concurrency=3)
        if isinstance(job, JobResponse) and job.params["normalize"] is False
    ]
    assert sorted(dims, key=str) == [0, 1, 2]


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, {"normalize": "true"}),
        ({"normalize": False}, {"normalize": "false"}),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "clip_embedding", values, fields)


@pytest.mark.parametrize("values", [{"normalize": "maybe"}, {"normalize": None}, {"normalise": True}])
async def test_what_is_refused(silent_client: ComputeClient, values: JSONObject) -> None:
    check_refused(silent_client, "clip_embedding", values, *values)


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    embed_image = silent_client.clip_embedding.embed_image
    with pytest.raises(InvalidParameterError, match="clip_embedding: normalize='maybe'"):
        await embed_image(b"x", normalize=cast("bool", cast("object", "maybe")))
    with pytest.raises(InvalidParameterError, match="empty"):
        await embed_image(b"")
    with pytest.raises(InvalidParameterError, match=r"missing\.jpg"):
        await embed_image(tmp_path / "missing.jpg")
    with pytest.raises(InvalidParameterError, match="pass a list of inputs"):
        silent_client.clip_embedding.embed_images("photo.jpg")
