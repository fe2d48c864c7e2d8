"""Destinations and names that a file system does not take, or takes and nobody expects."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import re
from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, JobFileNotFoundError, JobFilesError
from cl_client.exceptions import FileWriteError
from cl_client.local import LocalServer
from cl_client.testing import StubServer, http_response
from small_disks import make_read_only, small_disk
from support import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Generator
    from pathlib import Path

CONTENT = bytes(range(256)) * 8192
"""2 MiB."""
SMALL = CONTENT[:6000]
"""Less than a file's buffer in memory: a full disk is noticed only when the file is finished."""
FILE = "input/file"
"""Where a server keeps what was uploaded as bytes."""
OLD = b"an earlier one"


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    with LocalServer(workers=1) as running:
        yield running


@pytest.fixture
async def client(server: LocalServer) -> AsyncGenerator[ComputeClient]:
    async with client_of(server, mqtt_broker="off") as connected:
        yield connected


@pytest.fixture(scope="module")
def job_ids(server: LocalServer) -> dict[int, str]:
    """Jobs whose files have these sizes."""

    async def submit() -> dict[int, str]:
        async with client_of(server, mqtt_broker="off") as client:
            return {
                len(content): (await client.hash.compute(content, wait=True)).job_id
                for content in (SMALL, CONTENT)
            }

    return asyncio.run(submit())


@pytest.fixture
def job_id(job_ids: dict[int, str]) -> str:
    return job_ids[len(CONTENT)]


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    """A disk of 8 KiB with an earlier file on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, "8k"):
        (folder / "file").write_bytes(OLD)
        yield folder


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


async def one_failure(call: Awaitable[object]) -> FileWriteError:
    """Why a file cannot be written, on its own or as the only one of several."""
    with pytest.raises((FileWriteError, JobFilesError)) as caught:
        await call
    error = caught.value
    failure = next(iter(error.failures.values())) if isinstance(error, JobFilesError) else error
    assert isinstance(failure, FileWriteError)
    assert isinstance(failure, OSError)
    return failure


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("size", [len(SMALL), len(CONTENT)])
async def test_a_full_disk(
    *, client: ComputeClient, job_ids: dict[int, str], disk: Path, size: int, resume: bool
) -> None:
    job_id = job_ids[size]
    failure = await one_failure(client.download_job_file(job_id, FILE, disk / "file", resume=resume))
    assert failure.errno == errno.ENOSPC
    assert failure.path == disk / "file"
    assert re.search("No space left on device; free some space", str(failure))
    if not resume:
        assert contents(disk) == {"file": OLD}
    assert (disk / "file").read_bytes() == OLD


async def test_a_full_disk_and_several_files(client: ComputeClient, job_id: str, disk: Path) -> None:
    call = client.download_job_files(job_id, ["output/hash.json", FILE], disk, concurrency=1)
    failure = await one_failure(call)
    assert failure.errno == errno.ENOSPC
    assert contents(disk) == {"file": OLD}


async def test_a_disk_that_has_room_again(client: ComputeClient, job_ids: dict[int, str], disk: Path) -> None:
    await one_failure(client.download_job_file(job_ids[len(SMALL)], FILE, disk / "new"))
    (disk / "file").unlink()
    path = await client.download_job_file(job_ids[len(SMALL)], FILE, disk / "new")
    assert path.read_bytes() == SMALL


async def test_a_read_only_disk(client: ComputeClient, job_id: str, disk: Path) -> None:
    make_read_only(disk)
    failures = [
        await one_failure(client.download_job_file(job_id, FILE, disk / "file")),
        await one_failure(client.download_job_file(job_id, FILE, disk / "file", resume=True)),
        await one_failure(client.download_job_file(job_id, FILE, disk / "missing" / "file")),
        await one_failure(client.download_job_files(job_id, [FILE], disk, relative_to="input")),
    ]
    assert {failure.errno for failure in failures} == {errno.EROFS}
    assert all("Read-only file system; choose another" in str(failure) for failure in failures)
    assert contents(disk) == {"file": OLD}


async def test_a_folder_where_the_file_belongs(client: ComputeClient, job_id: str, tmp_path: Path) -> None:
    (tmp_path / "file" / "inside").mkdir(parents=True)
    failure = await one_failure(client.download_job_file(job_id, FILE, tmp_path))
    assert "it is an existing folder" in str(failure)
    path = await client.download_job_file(job_id, FILE, tmp_path / "file")
    assert path == tmp_path / "file" / "file"


async def test_a_file_where_a_folder_belongs(client: ComputeClient, job_id: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(OLD)
    for dest in ("old/file", "old/", "old/new/file"):
        await one_failure(client.download_job_file(job_id, FILE, f"{tmp_path}/{dest}"))
    await one_failure(client.download_job_files(job_id, [FILE], tmp_path / "old"))
    assert contents(tmp_path) == {"old": OLD}


async def test_folders_are_not_made_for_a_file_that_is_not_there(
    client: ComputeClient, job_id: str, tmp_path: Path
) -> None:
    with pytest.raises(JobFileNotFoundError):
        await client.download_job_file(job_id, "output/none", tmp_path / "new" / "folder" / "file")
    assert list(tmp_path.iterdir()) == []
    path = await client.download_job_file(job_id, FILE, tmp_path / "new" / "folder" / "file")
    assert path.read_bytes() == CONTENT


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
async def test_what_is_no_plain_file_is_not_replaced(
    client: ComputeClient, job_id: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "file"
    os.mkfifo(pipe)
    await one_failure(client.download_job_file(job_id, FILE, pipe))
    assert pipe.is_fifo()
    await one_failure(client.download_job_files(job_id, [FILE], tmp_path, relative_to="input"))
    assert pipe.is_fifo()


NAMES = [
    "x" * 251 + ".bin",
    "\N{DEVANAGARI LETTER KA}" * 83 + ".bin",
    "दो पंक्तियाँ\nएक नाम.bin",
    "a\tb\r\n.bin",
    " leading and trailing. ",
    "-rf",
    ".hidden",
    "[a]*?{b}.bin",
    "%2e%2e%s$HOME`id`;&|'\"\\.bin",
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
    "not UTF-8 \udcff.bin",
    "NUL",
]
POSIX_NAMES = pytest.mark.skipif(os.name == "nt", reason="Windows takes few of these names")


@POSIX_NAMES
@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_odd_names_of_destinations(
    *, client: ComputeClient, job_id: str, tmp_path: Path, name: str, resume: bool
) -> None:
    target = tmp_path / name
    target.write_bytes(OLD)
    assert await client.download_job_file(job_id, FILE, target, resume=resume) == target
    assert contents(tmp_path) == {name: CONTENT}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 300, "File name too long; choose a shorter name"),
        ("\N{DEVANAGARI LETTER KA}" * 100, "File name too long; choose a shorter name"),
        ("x/" * 3000 + "x", "File name too long"),
        ("a\0b", "null"),
        ("two\nlines\0", "null"),
    ],
    ids=["300 bytes", "300 bytes of 100 letters", "a long path", "a NUL", "two lines and a NUL"],
)
@POSIX_NAMES
async def test_impossible_names_of_destinations(
    client: ComputeClient, job_id: str, tmp_path: Path, name: str, reason: str
) -> None:
    for resume in (False, True):
        failure = await one_failure(client.download_job_file(job_id, FILE, tmp_path / name, resume=resume))
        assert reason in str(failure)
        assert "\n" not in str(failure)
    await one_failure(client.download_job_files(job_id, [FILE], tmp_path / name))
    assert contents(tmp_path) == {}


@POSIX_NAMES
@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_odd_names_of_uploads(client: ComputeClient, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source" / name
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    job = await client.get_job((await client.hash.compute(source)).job_id)
    path = str(job.params["input_path"])
    assert await client.read_job_file(job.job_id, path) == CONTENT
    kept = await client.download_job_file(job.job_id, path, tmp_path / "kept/")
    assert kept.read_bytes() == CONTENT


class Named(io.BytesIO):
    """An open file with a name."""

    def __init__(self, name: str) -> None:
        super().__init__(CONTENT)
        self.name = name


@pytest.mark.parametrize("name", [*NAMES, "x" * 5000, 'a"\r\nContent-Type: text/html\r\n\r\n'], ids=ascii)
async def test_a_name_is_one_short_line_on_the_wire(name: str) -> None:
    server = StubServer(http_response("200 OK", '{"job_id": "j", "task_type": "hash", "status": "queued"}'))
    async with server.running() as client:
        await client.hash.compute(Named(name))
    (request,) = server.requests
    head = request[: request.index(CONTENT)].decode()
    part = head[head.rindex("Content-Disposition") :].removesuffix("\r\n\r\n").split("\r\n")
    assert [line.partition(":")[0] for line in part] == ["Content-Disposition", "Content-Type"]
    found = re.fullmatch(r'Content-Disposition: form-data; name="file"; filename="([^"]+)"', part[0])
    assert found
    assert found[1].isprintable()
    assert len(found[1].encode()) <= 255
