"""Embeddings of faces."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cl_client import ComputeClient, InvalidParameterError, JobResponse, JSONObject
from cl_client.local.samples import write_astronaut
from plugin_checks import check_fields, check_refused

if TYPE_CHECKING:
    from pathlib import Path

    from server_under_test import ServerUnderTest


@pytest.fixture
def face(tmp_path: Path) -> Path:
    """A picture of a face and nothing else."""
    write_astronaut(tmp_path / "astronaut.png")
    with Image.open(tmp_path / "astronaut.png") as picture:
        picture.crop((168, 53, 278, 186)).save(tmp_path / "face.png")
    return tmp_path / "face.png"


async def test_from_the_file_to_the_result(live_client: ComputeClient, face: Path) -> None:
    job = await live_client.face_embedding.embed_faces(face, wait=True)
    embedding = await live_client.face_embedding.load(job)
    assert (embedding.shape, embedding.dtype) == ((512,), np.float32)
    assert math.hypot(*cast("list[float]", embedding.tolist())) == pytest.approx(1, abs=1e-3)


async def test_the_output_says_size_kind_and_quality(live_client: ComputeClient, face: Path) -> None:
    job = await live_client.face_embedding.embed_faces(face, normalize=False, wait=True)
    assert (job.output.embedding_dim, job.output.normalized) == (512, False)
    assert job.output.quality_score is not None
    assert 0 < job.output.quality_score <= 1


async def test_a_blurred_face_is_of_less_quality(
    live_client: ComputeClient, face: Path, tmp_path: Path
) -> None:
    with Image.open(face) as picture:
        picture.filter(ImageFilter.GaussianBlur(4)).save(tmp_path / "blurred.png")
    sharp, blurred = [
        await live_client.face_embedding.embed_faces(file, wait=True)
        for file in (face, tmp_path / "blurred.png")
    ]
    assert (blurred.output.quality_score or 0) < (sharp.output.quality_score or 0)


async def test_its_file_is_an_array(
    live_client: ComputeClient, server_under_test: ServerUnderTest, face: Path, tmp_path: Path
) -> None:
    job = await live_client.face_embedding.embed_faces(face, wait=True)
    (file,) = await live_client.download_job_outputs(job, tmp_path / "left")
    assert file.name == server_under_test.embedding_file("face_embedding")
    assert cast("object", np.load(file, allow_pickle=False).shape) == (512,)


async def test_many_faces(live_client: ComputeClient, face: Path) -> None:
    outcomes = live_client.face_embedding.embed_images([face, b"no picture"])
    jobs = {source: job async for source, job in outcomes if isinstance(job, JobResponse)}
    assert jobs[face].output.normalized is True
    assert jobs[b"no picture"].status == "failed"


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"normalize": True}, {"normalize": "true"}),
        ({"normalize": False}, {"normalize": "false"}),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "face_embedding", values, fields)


@pytest.mark.parametrize("values", [{"normalise": True}, {"normalize": "maybe"}, {"normalize": None}])
async def test_what_is_refused(silent_client: ComputeClient, values: JSONObject) -> None:
    check_refused(silent_client, "face_embedding", values, *values)


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    embed_faces = silent_client.face_embedding.embed_faces
    with pytest.raises(InvalidParameterError, match="face_embedding: normalize='maybe'"):
        await embed_faces(b"x", normalize=cast("bool", cast("object", "maybe")))
    with pytest.raises(InvalidParameterError, match="empty"):
        await embed_faces(b"")
    with pytest.raises(InvalidParameterError, match=r"missing\.jpg"):
        await embed_faces(tmp_path / "missing.jpg")
