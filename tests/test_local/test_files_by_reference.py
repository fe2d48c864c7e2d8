"""Files by reference: jobs that read a file on the server's disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cl_client import ServerPath, ServerPathRefusedError
from cl_client.local import LocalServer
from cl_client.local.samples import draw_photo

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    draw_photo(folder / "a.jpg", size=(64, 48))
    return folder


@pytest.fixture
def sharing(share: Path) -> Generator[LocalServer]:
    with LocalServer(workers=1, shared=[share]) as server:
        yield server


async def test_a_job_reads_a_shared_file_in_place(sharing: LocalServer, share: Path) -> None:
    async with sharing.client() as client:
        by_path = await client.hash.compute(
            ServerPath(str(share / "a.jpg")), wait=True, raise_on_failure=True
        )
        uploaded = await client.hash.compute(share / "a.jpg", wait=True)
        result = await client.hash.load(by_path)
        assert result.hash_value == (await client.hash.load(uploaded)).hash_value
        assert by_path.params["input_absolute_path"] == str(share / "a.jpg")
        assert not (sharing.data_dir / "jobs" / by_path.job_id / "input").exists()
        await client.delete_job(by_path.job_id)
    assert [*share.iterdir()] == [share / "a.jpg"]


async def test_nothing_is_shared_by_default(share: Path) -> None:
    with LocalServer(workers=1) as server:
        async with server.client() as client:
            assert await client.shared_folders() == ()
            with pytest.raises(ServerPathRefusedError, match=r"upload the file: pass Path"):
                await client.hash.compute(ServerPath(str(share / "a.jpg")))
