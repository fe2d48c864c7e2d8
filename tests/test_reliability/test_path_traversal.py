"""Paths and names that lead elsewhere: nothing outside of the folder meant is read or written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, unquote

import httpx
import pytest

from cl_client import (
    ComputeClient,
    InvalidParameterError,
    InvalidRequestError,
    InvalidResponseError,
    JobFilesError,
    JobResponse,
    ServerUnavailableError,
)
from cl_client.exceptions import FileWriteError
from cl_client.local import LocalServer
from cl_client.local.samples import draw_photo
from cl_client.testing import StubServer, http_response
from support import client_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from cl_client import JSONObject

SECRET = b"the secret of somebody else"
PLANTED = b"#EXTM3U\nplanted"
"""What a hostile server gives for every file: also a playlist, so that nothing is refused for being none."""


def words(text: str) -> list[str]:
    return text.split()


UP = [
    *words(r"""
    .. ../secret ../../secret output/../../secret output/../../../secret ./../secret output/./../../secret
    ....//secret ..;/secret ..?/secret ..#/secret output/.. ..\secret output\..\..\secret ..\/secret
    ../\secret ../secret?x=.jpg ../secret#.jpg ../secret;.jpg
    """),
    "output/.. /../secret",
    "..\0/secret",
    "../secret\0.jpg",
    "../" * 200 + "secret",
    "a/" * 100 + "../" * 102 + "secret",
]
ENCODED = words(r"""
    %2e%2e/secret %2e%2e%2fsecret ..%2fsecret ..%5csecret output%2f..%2f..%2fsecret %252e%252e%252fsecret
    %c0%ae%c0%ae/secret %u002e%u002e/secret ..%00/secret ..%0d%0a/secret
    """)
ABSOLUTE = words(r"""
    / // /etc/passwd //etc/passwd //host/share/secret \\host\share\secret \\?\C:\secret \\.\pipe\secret
    \secret C: C:secret C:/secret c:\secret file:///etc/passwd http://127.0.0.1:1/secret ~/secret
    ~root/secret $HOME/secret
    """)
LOOK_ALIKES = [
    "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/secret",
    "..\N{FULLWIDTH SOLIDUS}secret",
    "..\N{DIVISION SLASH}secret",
    "..\N{FRACTION SLASH}secret",
    "\N{ONE DOT LEADER}\N{ONE DOT LEADER}/secret",
    "\N{TWO DOT LEADER}/secret",
    "..\N{BIG REVERSE SOLIDUS}secret",
    "..\N{ZERO WIDTH SPACE}/secret",
    ".\N{SOFT HYPHEN}./secret",
    "\N{RIGHT-TO-LEFT OVERRIDE}terces/..",
]
NAMES = [
    *words(r"""
    . ... secret. CON nul.txt output/AUX com1.ts lpt¹ CONOUT$ secret::$DATA secret:stream -rf .bashrc |id
    `id` * output/{secret,x} output//secret output/
    """),
    "",
    " ",
    "secret ",
    "secret. . .",
    "a\nb",
    "a\r\nX-Header: b",
    "\x1b[31msecret",
    "x" * 300,
    "x/" * 2000 + "x",
]
EVERY_PATH = pytest.mark.parametrize(
    "paths",
    [UP, ENCODED, ABSOLUTE, LOOK_ALIKES, NAMES],
    ids=["up", "encoded", "absolute", "look-alikes", "names"],
)


@contextlib.contextmanager
def about(path: str) -> Generator[None]:
    """Name the path that a failure is about."""
    try:
        yield
    except BaseException as exc:
        exc.add_note(f"path: {path!r}")
        raise


def everything_below(folder: Path) -> dict[str, bytes | str]:
    """Every file with its content, every link with its target, every folder."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        what = str(path.readlink()) if path.is_symlink() else "" if path.is_dir() else path.read_bytes()
        found[path.relative_to(folder).as_posix()] = what
    return found


class Surroundings:
    """A folder among others that are nobody's business."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / "a" / "b" / "folder"
        self.folder.mkdir(parents=True)
        for place in (root, root / "a", root / "a" / "b"):
            (place / "secret").write_bytes(SECRET)
            (place / "output").mkdir()
            (place / "output" / "secret").write_bytes(SECRET)
        self._before = self._outside()

    def _outside(self) -> dict[str, bytes | str]:
        inside = self.folder.relative_to(self._root).as_posix()
        return {
            name: what
            for name, what in everything_below(self._root).items()
            if not name.startswith(f"{inside}/")
        }

    def inside(self) -> dict[str, bytes | str]:
        return everything_below(self.folder)

    def assert_untouched(self) -> None:
        assert self._outside() == self._before

    def assert_inside_is_plain(self) -> None:
        # Windows takes these for something else.
        assert [name for name in self.inside() if set(name) & set("\\:")] == []


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    surroundings = Surroundings(tmp_path)
    # A path that is taken for relative would be found, too.
    monkeypatch.chdir(surroundings.folder)
    return surroundings


def assert_is_asked_for(path: str, target: str, job_id: str) -> None:
    """What was asked for is this path of this job, on a server that resolves dots as on one that does not."""
    prefix = f"/jobs/{quote(job_id, safe='')}/files/"
    assert target.startswith(prefix)
    assert unquote(target.removeprefix(prefix)) == path
    assert not {"", ".", ".."} & set(unquote(target)[1:].split("/"))


@EVERY_PATH
async def test_a_file_that_a_caller_names(paths: list[str], around: Surroundings) -> None:
    server = StubServer(http_response("200 OK", PLANTED))
    async with server.running(max_retries=0) as client:
        for path in paths:
            server.requests.clear()
            with about(path):
                with contextlib.suppress(InvalidParameterError):
                    await client.read_job_file("j", path)
                with contextlib.suppress(InvalidParameterError, FileWriteError):
                    await client.download_job_file("j", path, around.folder)
                with contextlib.suppress(InvalidParameterError, JobFilesError, FileWriteError):
                    await client.download_job_files("j", [path], around.folder / "many")
                for target in server.targets:
                    assert_is_asked_for(path, target, "j")
                around.assert_untouched()


@EVERY_PATH
async def test_a_job_that_a_caller_names(paths: list[str]) -> None:
    server = StubServer(http_response("404 Not Found"))
    async with server.running() as client:
        for path in paths:
            server.requests.clear()
            with about(path):
                for call in (client.get_job, client.delete_job, partial(client.read_job_file, file_path="a")):
                    with pytest.raises((InvalidParameterError, InvalidRequestError)):
                        await call(path)
                for target in server.targets:
                    assert target.removesuffix("/files/a") == f"/jobs/{quote(path, safe='')}"
                    assert path not in {"", ".", ".."}  # dots and slashes are tidied away on the way


def lying(task: str, params: JSONObject | None = None, output: JSONObject | None = None) -> bytes:
    """A server's answer that says so of a job."""
    job: JSONObject = {
        "job_id": "j",
        "task_type": task,
        "status": "completed",
        "params": params or {},
        "task_output": output or {},
    }
    return http_response("200 OK", json.dumps(job))


def box(file_path: str) -> JSONObject:
    return {"bbox": {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4}, "confidence": 0.9, "file_path": file_path}


async def fetch_result(client: ComputeClient, folder: Path) -> None:
    await client.media_thumbnail.download(await client.get_job("j"), folder)


async def fetch_embedding(client: ComputeClient, folder: Path) -> None:
    await client.dino_embedding.download(await client.get_job("j"), folder)


async def fetch_crops(client: ComputeClient, folder: Path) -> None:
    await client.face_detection.download_crops(await client.get_job("j"), folder)


async def fetch_stream(client: ComputeClient, folder: Path) -> None:
    await client.hls_streaming.download(await client.get_job("j"), folder)


Fetch: TypeAlias = Callable[[ComputeClient, "Path"], Awaitable[None]]
"""Fetches the result of a job into a folder."""
Lie: TypeAlias = Callable[[str], dict[str, bytes]]
"""The answers of a server that names a path, by the last part of what is asked for."""

LIES: list[tuple[Fetch, Lie]] = [
    (fetch_result, lambda path: {"j": lying("media_thumbnail", {"output_path": path})}),
    (fetch_embedding, lambda path: {"j": lying("dino_embedding", {"output_path": path})}),
    (fetch_crops, lambda path: {"j": lying("face_detection", output={"faces": [box(path)]})}),
    (fetch_stream, lambda path: {"j": lying("hls_streaming", {"output_path": path})}),
    (fetch_stream, lambda path: {"j": lying("hls_streaming", output={"master_playlist": path})}),
    (fetch_stream, lambda path: {"j": lying("hls_streaming", output={"master_playlist": f"/srv/j/{path}"})}),
    (
        fetch_stream,
        lambda path: {
            "j": lying("hls_streaming", {"output_path": "output"}),
            "adaptive.m3u8": http_response("200 OK", f"#EXTM3U\n{path}\n"),
        },
    ),
]


EVERY_LIE = pytest.mark.parametrize(
    ("fetch", "lie"),
    LIES,
    ids=["result", "embedding", "crop", "stream", "master", "absolute master", "playlist"],
)


@EVERY_PATH
@EVERY_LIE
async def test_a_path_that_a_server_names(
    fetch: Fetch, lie: Lie, paths: list[str], around: Surroundings
) -> None:
    for path in paths:
        server = StubServer(http_response("200 OK", PLANTED), files=lie(path))
        with about(path):
            async with server.running(max_retries=0) as client:
                with contextlib.suppress(InvalidResponseError, FileWriteError, JobFilesError):
                    await fetch(client, around.folder)
            assert server.targets[0] == "/jobs/j"
            for target in server.targets[1:]:
                assert_is_asked_for(unquote(target.removeprefix("/jobs/j/files/")), target, "j")
            around.assert_untouched()
    around.assert_inside_is_plain()


@EVERY_LIE
async def test_a_path_that_a_server_may_name(fetch: Fetch, lie: Lie, around: Surroundings) -> None:
    async with StubServer(http_response("200 OK", PLANTED), files=lie("fine")).running() as client:
        await fetch(client, around.folder)
    assert PLANTED in around.inside().values()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
async def test_links_in_place_of_the_files(around: Surroundings) -> None:
    secret = around.folder.parent / "secret"
    (around.folder / "output").mkdir()
    for name in ("one", "output/many"):
        (around.folder / name).symlink_to(secret)
    async with StubServer(http_response("200 OK", PLANTED)).running() as client:
        await client.download_job_file("j", "output/one", around.folder / "one")
        await client.download_job_files("j", ["output/many"], around.folder)
    around.assert_untouched()
    assert around.inside() == {"one": PLANTED, "output": "", "output/many": PLANTED}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
async def test_a_link_in_place_of_what_is_kept_of_a_download(around: Surroundings) -> None:
    tag = 'ETag: "one"\r\n'
    cut = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n{tag}\r\nonly th".encode()
    server = StubServer(cut, http_response("200 OK", "only this", tag))
    async with server.running(max_retries=0) as client:
        with pytest.raises(ServerUnavailableError):
            await client.download_job_file("j", "a", around.folder / "a", resume=True)
        (kept,) = around.folder.iterdir()
        kept.unlink()
        kept.symlink_to(around.folder.parent / "secret")
        with contextlib.suppress(FileWriteError):
            await client.download_job_file("j", "a", around.folder / "a", resume=True)
    around.assert_untouched()


@pytest.fixture(scope="module")
def server() -> Generator[LocalServer]:
    with LocalServer(workers=1, tasks=["image_conversion"]) as running:
        for folder in (running.data_dir, running.data_dir / "jobs", running.data_dir / "uploads"):
            (folder / "secret").write_bytes(SECRET)
        yield running


def outside_of_jobs(server: LocalServer) -> dict[str, bytes | str]:
    """What a server's folder holds, without the table of jobs, and without what is in their folders."""
    return {
        name: what
        for name, what in everything_below(server.data_dir).items()
        if not name.startswith("jobs.sqlite3") and not re.match("jobs/[0-9a-f]{8}-", name)
    }


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    draw_photo(path, size=(16, 16))
    return path.read_bytes()


def form(photo: bytes, file_name: str) -> bytes:
    """A multipart form whose file has this parameter for a name."""
    fields = (
        b'Content-Disposition: form-data; name="format"\r\n\r\nwebp',
        f'Content-Disposition: form-data; name="file"; {file_name}\r\n\r\n'.encode() + photo,
    )
    return b"".join(b"--b\r\n%s\r\n" % field for field in fields) + b"--b--\r\n"


@EVERY_PATH
async def test_a_name_that_a_client_uploads(paths: list[str], server: LocalServer, photo: bytes) -> None:
    before = outside_of_jobs(server)
    jobs: dict[str, str] = {}
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with httpx.AsyncClient(base_url=server.base_url, headers=headers) as http:
        for path in paths:
            for file_name in (f'filename="{path}"', f"filename*=UTF-8''{quote(path, safe='')}"):
                response = await http.post("/jobs/image_conversion", content=form(photo, file_name))
                with about(path):
                    assert response.status_code in {200, 400, 422}
                if response.is_success:
                    jobs[JobResponse.model_validate_json(response.content).job_id] = path
    assert len(jobs) >= len(paths) - 2  # the others cannot be written into a form
    async with client_of(server) as client:
        for job_id, path in jobs.items():
            with about(path):
                job = await client.wait_for_job(job_id)
                folder = server.data_dir / "jobs" / job_id
                (stored,) = (folder / "input").iterdir()
                assert job.params["input_path"] == f"input/{stored.name}"
                assert stored.read_bytes() == photo
                assert {place.name for place in folder.iterdir()} == {"input", "output"}
                # The longest name leaves no room for what the result's name begins with.
                assert job.status in ({"completed"} if len(path) < 200 else {"completed", "failed"})
    assert outside_of_jobs(server) == before
    assert {folder.name for folder in (server.data_dir / "jobs").iterdir()} >= jobs.keys()


def written(path: str) -> set[str]:
    """How a client could write a path into a request: encoded not at all, partly, once, or twice."""
    once = quote(path, safe="")
    return {
        quote(path, safe="/"),
        once,
        quote(path, safe="/").replace(".", "%2e"),
        quote(once, safe=""),
        *([path] if re.fullmatch("[!-~]*", path) else []),
    }


async def answers_to(server: LocalServer, method: str, targets: Iterable[str]) -> list[tuple[str, bytes]]:
    """What a server says to requests that no HTTP client has tidied: each target, and the whole answer."""
    address = httpx.URL(server.base_url)
    answers: list[tuple[str, bytes]] = []
    for target in targets:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answers.append((target, await reader.read()))
        writer.close()
        await writer.wait_closed()
    return answers


@pytest.fixture(scope="module")
def job_id(server: LocalServer, photo: bytes) -> str:
    async def convert() -> str:
        async with client_of(server) as client:
            return (await client.image_conversion.convert(photo, "webp", wait=True)).job_id

    return asyncio.run(convert())


@EVERY_PATH
async def test_a_path_that_a_client_asks_for(paths: list[str], server: LocalServer, job_id: str) -> None:
    before = everything_below(server.data_dir)
    for path in [*paths, f"{server.data_dir.as_posix()}/secret"]:
        of_files = [f"/jobs/{job_id}/files/{target}" for target in written(path)]
        of_jobs = [f"/jobs/{target}" for target in written(path)]
        of_files_of_jobs = [f"{target}/files/secret" for target in of_jobs]
        said = [
            *await answers_to(server, "GET", [*of_files, *of_jobs, *of_files_of_jobs]),
            *await answers_to(server, "DELETE", of_jobs),
        ]
        for target, whole in said:
            assert re.match(rb"HTTP/1\.1 [34]\d\d ", whole), (target, whole)
            assert SECRET not in whole, target
            assert b"root:" not in whole, target
    assert everything_below(server.data_dir) == before
