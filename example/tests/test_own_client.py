"""The client of a local server in the same process takes the files of jobs from the disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, JobResponse
from cl_client.exceptions import ComputeClientError, FileWriteError, InvalidResponseError
from cl_client_cli.frame.own_client import OwnClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from cl_client.local import LocalServer

_RESULT = "output/hash.json"
_MOST = 4096


@pytest.fixture
async def client(media_server: LocalServer) -> AsyncGenerator[OwnClient]:
    async with OwnClient(media_server) as client:
        yield client


@pytest.fixture
async def job(client: OwnClient) -> JobResponse:
    return await client.hash.compute(b"content", wait=True)


@pytest.fixture
def by_request(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were requested over HTTP."""
    requested: list[str] = []
    real_read, real_download = ComputeClient.read_job_file, ComputeClient.download_job_file

    async def read(
        self: ComputeClient, job_id: str, file_path: str, *, max_bytes: int = _MOST, **_: None
    ) -> bytes:
        requested.append(file_path)
        return await real_read(self, job_id, file_path, max_bytes=max_bytes)

    async def download(self: ComputeClient, job_id: str, file_path: str, dest: Path, **_: object) -> Path:
        requested.append(file_path)
        return await real_download(self, job_id, file_path, dest)

    monkeypatch.setattr(ComputeClient, "read_job_file", read)
    monkeypatch.setattr(ComputeClient, "download_job_file", download)
    return requested


async def test_files_are_the_same_as_over_http_without_a_request(
    client: OwnClient, media_server: LocalServer, job: JobResponse, by_request: list[str], tmp_path: Path
) -> None:
    content = await client.read_job_file(job.job_id, _RESULT)
    target = tmp_path / "new" / "hash.json"
    assert await client.download_job_file(job.job_id, _RESULT, target) == target
    assert await client.download_job_file(job.job_id, _RESULT, target) == target  # replaced
    assert by_request == []
    assert [path.name for path in target.parent.iterdir()] == ["hash.json"]
    async with media_server.client() as other:
        assert await other.read_job_file(job.job_id, _RESULT) == content == target.read_bytes()
    assert by_request == [_RESULT]


async def test_what_is_not_a_plain_copy_is_requested(
    client: OwnClient, job: JobResponse, by_request: list[str], tmp_path: Path
) -> None:
    missing_files = ("output/none.json", "output", "/etc/hostname", "../../users.sqlite")
    assert await client.download_job_file(job.job_id, _RESULT, tmp_path) == tmp_path / "hash.json"
    with pytest.raises(InvalidResponseError):
        await client.read_job_file(job.job_id, _RESULT, max_bytes=3)
    for missing in missing_files:
        with pytest.raises(ComputeClientError):
            await client.download_job_file(job.job_id, missing, tmp_path / "it")
    assert by_request == [
        _RESULT,
        _RESULT,
        "output/none.json",
        "output",
        "/etc/hostname",
        "../../users.sqlite",
    ]
    assert not (tmp_path / "it").exists()


@pytest.mark.skipif(os.name != "posix", reason="a long name is an error of POSIX")
async def test_a_file_that_cannot_be_written_is_named(
    client: OwnClient, job: JobResponse, tmp_path: Path
) -> None:
    with pytest.raises(FileWriteError, match="choose a shorter name"):
        await client.download_job_file(job.job_id, _RESULT, tmp_path / ("n" * 300))
    assert not list(tmp_path.iterdir())
    longest = tmp_path / ("n" * 255)
    assert await client.download_job_file(job.job_id, _RESULT, longest) == longest
