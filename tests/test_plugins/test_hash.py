"""Hashes of files."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast, get_args

import pytest

from cl_client import ComputeClient, HashAlgorithm, InvalidParameterError, InvalidResponseError, JSONObject
from cl_client.plugins.hash import HashResult
from expected_hashes import expected_sha512, pixels_of
from patience import SECONDS
from plugin_checks import check_fields, check_refused
from written_files_task import script

if TYPE_CHECKING:
    from pathlib import Path


async def test_from_the_file_to_the_result(live_client: ComputeClient, photo: Path) -> None:
    job = await live_client.hash.compute(photo, wait=True)
    result = await live_client.hash.load(job)
    assert result.hash_value == expected_sha512(photo, "sha512_image")
    assert (result.hashed, result.algorithm) == ("pixels", "sha512_image")


@pytest.mark.parametrize("algorithm", get_args(HashAlgorithm))
async def test_the_hash_stands_in_its_file(
    live_client: ComputeClient, photo: Path, tmp_path: Path, algorithm: HashAlgorithm
) -> None:
    job = await live_client.hash.compute(photo, algorithm=algorithm, wait=True, timeout=SECONDS)
    assert job.output.media_type == "image"
    file = await live_client.download_job_file(job.job_id, "output/hash.json", tmp_path)
    hashed = photo.read_bytes() if algorithm == "md5" else pixels_of(photo.read_bytes())
    assert json.loads(file.read_text())["hash_value"] == hashlib.new(algorithm, hashed).hexdigest()


async def test_copies_of_a_photo_with_other_metadata_have_one_hash(
    live_client: ComputeClient, photo: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.jpg"
    content = photo.read_bytes()
    comment = b"on the beach"
    copy.write_bytes(content[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + content[2:])
    hashes = {
        (await live_client.hash.load(await live_client.hash.compute(file, wait=True))).hash_value
        for file in (photo, copy)
    }
    assert len(hashes) == 1
    md5 = await live_client.hash.load(await live_client.hash.compute(copy, algorithm="md5", wait=True))
    assert md5.hash_value == hashlib.md5(copy.read_bytes(), usedforsecurity=False).hexdigest()


async def test_a_text_is_hashed_by_its_bytes(live_client: ComputeClient) -> None:
    result = await live_client.hash.load(await live_client.hash.compute(b"some words", wait=True))
    assert result.hash_value == hashlib.sha512(b"some words").hexdigest()
    assert (result.hashed, result.algorithm, result.media_type) == ("bytes", "sha512_generic", "text")


@pytest.mark.parametrize(
    ("word", "hashed"),
    [
        ("sha512_image", "pixels"),
        ("sha512_video", "key_frames"),
        ("sha512_generic", "bytes"),
        ("md5", "bytes"),
        ("sha512", "bytes"),  # of version 0.1
        ("sha512_model", None),
        ("", None),
    ],
)
def test_what_was_hashed(word: str, hashed: str | None) -> None:
    assert HashResult(hash_value="00", algorithm=word).hashed == hashed


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
