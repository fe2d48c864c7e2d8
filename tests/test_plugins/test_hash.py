"""Hashes of files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

import pytest
from pydantic import TypeAdapter

from cl_client import ComputeClient, HashAlgorithm, InvalidParameterError, InvalidResponseError, JSONObject
from patience import SECONDS
from plugin_checks import check_fields, check_refused
from server_under_test import expected_sha512
from written_files_task import script

if TYPE_CHECKING:
    from pathlib import Path

JSON_OBJECT = TypeAdapter(JSONObject)


async def test_from_the_file_to_the_result(live_client: ComputeClient, photo: Path) -> None:
    job = await live_client.hash.compute(photo, wait=True)
    result = await live_client.hash.load(job)
    assert result.hash_value == expected_sha512(photo, result.algorithm)


@pytest.mark.parametrize("algorithm", ["sha512", "md5"])
async def test_the_hash_stands_in_its_file(
    live_client: ComputeClient, photo: Path, tmp_path: Path, algorithm: str
) -> None:
    job = await live_client.hash.compute(
        photo, algorithm="md5" if algorithm == "md5" else "sha512", wait=True, timeout=SECONDS
    )
    assert job.output.media_type == "image"
    file = await live_client.download_job_file(job.job_id, "output/hash.json", tmp_path)
    said = JSON_OBJECT.validate_json(file.read_bytes())
    if algorithm == "md5":
        expected = hashlib.md5(photo.read_bytes(), usedforsecurity=False).hexdigest()
    else:
        expected = expected_sha512(photo, str(said["algorithm"]))
    assert said["hash_value"] == expected


async def test_a_file_of_any_kind_has_a_hash(live_client: ComputeClient) -> None:
    job = await live_client.hash.compute(b"some words", algorithm="md5", wait=True)
    assert live_client.hash.output_path(job) == "output/hash.json"
    result = await live_client.hash.load(job)
    assert result.hash_value == hashlib.md5(b"some words", usedforsecurity=False).hexdigest()
    assert result.algorithm == "md5"
    assert result.media_type == job.output.media_type
    assert result.process_time is not None
    assert result.process_time >= 0


async def test_a_hash_is_loaded(writing_client: ComputeClient) -> None:
    said = b"""{"hash_value": "d41d8cd9", "algorithm": "md5", "media_type": "image",
               "process_time": 0.5, "new": 1}"""
    job = await writing_client.hash.compute(script({"output/hash.json": said}), wait=True)
    result = await writing_client.hash.load(job)
    assert (result.hash_value, result.algorithm, result.media_type) == ("d41d8cd9", "md5", "image")
    assert (result.process_time, result.model_extra) == (0.5, {"new": 1})


@pytest.mark.parametrize(
    "said", [b"", b"{", b'{"algorithm": "md5"}', b'{"hash_value": "no", "algorithm": "md5"}']
)
async def test_a_damaged_hash(writing_client: ComputeClient, said: bytes) -> None:
    job = await writing_client.hash.compute(script({"output/hash.json": said}), wait=True)
    with pytest.raises(InvalidResponseError, match="is not a valid HashResult"):
        await writing_client.hash.load(job)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, {"algorithm": "sha512"}),
        ({"algorithm": "md5"}, {"algorithm": "md5"}),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "hash", values, fields)


@pytest.mark.parametrize("algorithm", ["sha256", "MD5", "", None])
async def test_what_is_refused(silent_client: ComputeClient, algorithm: str | None) -> None:
    check_refused(silent_client, "hash", {"algorithm": algorithm}, "algorithm")


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    compute = silent_client.hash.compute
    with pytest.raises(InvalidParameterError, match=r"hash: algorithm='sha256': .*'sha512' or 'md5'"):
        await compute(b"x", algorithm=cast("HashAlgorithm", "sha256"))
    with pytest.raises(InvalidParameterError, match="empty"):
        await compute(b"")
    with pytest.raises(InvalidParameterError, match="missing"):
        await compute(tmp_path / "missing")
