"""Embeddings as arrays, whatever the server calls the file and whatever it holds."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from cl_client import (
    ComputeClient,
    InvalidResponseError,
    JobFileNotFoundError,
    JobResponse,
    MissingExtraError,
)
from written_files_task import script

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cl_client import JSONObject

VECTOR = np.arange(4, dtype=np.float32)


def npy(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


async def embed(
    client: ComputeClient, content: bytes, *, suffix: str = "", dim: int | None = None
) -> JobResponse:
    """A job that leaves this as its result, under the path that the server names and this suffix."""
    output: JSONObject = {} if dim is None else {"embedding_dim": dim, "new": 1}
    return await client.dino_embedding.embed_image(script({"{result}" + suffix: content}, output), wait=True)


@pytest.mark.parametrize("suffix", ["", ".npy"])
async def test_an_embedding_is_found_under_either_name(writing_client: ComputeClient, suffix: str) -> None:
    job = await embed(writing_client, npy(VECTOR), suffix=suffix, dim=4)
    loaded = await writing_client.dino_embedding.load(job)
    assert (loaded.dtype, loaded.shape, loaded.tolist()) == (np.float32, (4,), [0, 1, 2, 3])


async def test_the_other_embeddings(writing_client: ComputeClient) -> None:
    content = script(
        {"{result}": npy(VECTOR)}, {"embedding_dim": 4, "normalized": True, "quality_score": 0.5}
    )
    clip = await writing_client.clip_embedding.embed_image(content, wait=True)
    assert (await writing_client.clip_embedding.load(clip)).shape == (4,)
    face = await writing_client.face_embedding.embed_faces(content, wait=True)
    assert (await writing_client.face_embedding.load(face)).shape == (4,)
    assert (face.output.quality_score, face.output.normalized) == (0.5, True)


@pytest.mark.parametrize(
    ("array", "dim", "reason"),
    [
        (VECTOR, 5, r"float32 of shape \(4,\); expected float32 of shape \(5,\)"),
        (VECTOR.reshape(1, 4), None, r"of shape \(1, 4\)"),
        (np.float32(1), None, r"of shape \(\)"),
        (VECTOR[:0], None, r"of shape \(0,\)"),
        (VECTOR.astype(np.float64), 4, "is float64"),
    ],
)
async def test_an_embedding_of_another_shape_or_kind(
    writing_client: ComputeClient, array: NDArray[np.generic], dim: int | None, reason: str
) -> None:
    job = await embed(writing_client, npy(array), dim=dim)
    with pytest.raises(InvalidResponseError, match=reason):
        await writing_client.dino_embedding.load(job)


class Trap:
    """Unpickling this leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @override
    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


async def test_what_is_no_array_is_refused_and_never_unpickled(
    writing_client: ComputeClient, tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    archive = io.BytesIO()
    np.savez(archive, a=VECTOR)
    trap = np.empty(1, dtype=object)
    trap[0] = Trap(sprung)
    huge = npy(VECTOR).replace(b"(4,), ", b"(4444444444444444,), ")
    for content in (
        b"",
        b"text",
        npy(VECTOR)[:-1],
        npy(trap),
        pickle.dumps(trap[0]),
        archive.getvalue(),
        huge,
    ):
        job = await embed(writing_client, content)
        with pytest.raises(InvalidResponseError, match=r"damaged|not a single array"):
            await writing_client.dino_embedding.load(job)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(trap[0]))  # noqa: S301 - shows that the trap works
    assert sprung.exists()


async def test_a_missing_embedding(writing_client: ComputeClient) -> None:
    job = await writing_client.clip_embedding.embed_image(script(), wait=True)
    with pytest.raises(JobFileNotFoundError):
        await writing_client.clip_embedding.load(job)


async def test_without_numpy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    job = JobResponse.model_validate({"job_id": "j", "task_type": "clip_embedding", "status": "completed"})
    monkeypatch.setitem(sys.modules, "numpy", None)
    async with ComputeClient(mqtt_broker="off") as client:
        with pytest.raises(MissingExtraError, match=r"pip install 'cl_client\[numpy\]'") as caught:
            await client.clip_embedding.load(job)
    assert isinstance(caught.value, ImportError)
