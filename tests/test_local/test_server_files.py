"""Uploads and downloads of the local server: limits, names, and ways out of a job's folder."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_client.local import LocalServer
from cl_client.local.http.uploads import safe_file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.test_local.conftest import Caller

    from cl_client.local.tasks import TaskSpec


@pytest.fixture
def job_id(caller: Caller) -> str:
    """A completed job."""
    job = caller.submit(content=b"0123456789")
    caller.ended(job)
    return job


def test_every_file_of_a_job_can_be_read(caller: Caller, job_id: str) -> None:
    for path in ("input/photo.jpg", "output/result.bin"):
        response = caller.http.get(f"/jobs/{job_id}/files/{path}")
        assert response.content == b"0123456789"
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["content-length"] == "10"


def test_part_of_a_file(caller: Caller, job_id: str) -> None:
    url = f"/jobs/{job_id}/files/output/result.bin"
    response = caller.http.get(url, headers={"Range": "bytes=4-"})
    assert (response.status_code, response.content) == (206, b"456789")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
def test_files_of_any_size(caller: Caller, server: LocalServer, size: int) -> None:
    content = os.urandom(size)
    job_id = caller.submit(name="ü.jpg", content=content)
    caller.ended(job_id)
    assert (server.data_dir / "jobs" / job_id / "input" / "ü.jpg").read_bytes() == content
    url = f"/jobs/{job_id}/files/input/ü.jpg"
    response = caller.http.get(url)
    assert response.content == content
    assert response.headers["content-length"] == str(size)
    assert response.headers["content-disposition"] == "attachment; filename*=utf-8''%C3%BC.jpg"
    if size:
        part = caller.http.get(url, headers={"Range": f"bytes={size - 1}-"})
        assert (part.status_code, part.content) == (206, content[-1:])
        same = ("etag", "last-modified", "accept-ranges", "content-type", "content-disposition")
        assert [part.headers[name] for name in same] == [response.headers[name] for name in same]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("output/none", 404, "File not found: output/none"),
        ("output", 400, "Path is not a file: output"),
        ("..%2f..%2f..%2fetc%2fpasswd", 403, "Access denied: path traversal detected"),
        ("output%2f..%2f..%2f..%2fjobs.sqlite3", 403, "Access denied: path traversal detected"),
        ("%2fetc%2fpasswd", 403, "Access denied: path traversal detected"),
        ("..", 403, "Access denied: path traversal detected"),
        (".", 400, "Path is not a file: ."),
        ("a%00b", 404, "File not found: a\0b"),
        ("x" * 300, 404, f"File not found: {'x' * 300}"),
        ("%2e%2e%2f%2e%2e%2fjobs.sqlite3", 403, "Access denied: path traversal detected"),
    ],
)
def test_what_is_no_file_of_the_job(caller: Caller, job_id: str, path: str, status: int, detail: str) -> None:
    # httpx tidies dots out of a path; a hostile client does not.
    target = f"/jobs/{job_id}/files/{path}"
    answer = caller.http.get("/", extensions={"target": target.encode()})
    assert answer.status_code == status
    assert answer.json() == {"detail": detail}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_leads_nowhere_else(caller: Caller, server: LocalServer, job_id: str) -> None:
    output = server.data_dir / "jobs" / job_id / "output"
    (output / "secret").symlink_to(server.data_dir / "jobs.sqlite3")
    (output / "ring").symlink_to(output / "ring")
    assert caller.http.get(f"/jobs/{job_id}/files/output/secret").status_code == 403
    assert caller.http.get(f"/jobs/{job_id}/files/output/ring").status_code == 404


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/absolute/path.png", "path.png"),
        ("C:\\Users\\me\\photo.jpg", "photo.jpg"),
        ("stream.jpg:hidden", "stream.jpg_hidden"),
        ("..", "file"),
        (".", "file"),
        ("", "file"),
        ("folder/", "file"),
        ("   ", "file"),
        ("a\0b\x1b[31m.jpg", "ab[31m.jpg"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("com1.jpg", "_com1.jpg"),
        ("console.jpg", "console.jpg"),
        ("trailing. . .", "trailing"),
        ("üñí ☃.jpg", "üñí ☃.jpg"),
        ("x" * 400 + ".jpeg", "x" * 250 + ".jpeg"),
        ("☃" * 200 + ".png", "☃" * 83 + ".png"),
        (".hidden", ".hidden"),
    ],
)
def test_names_of_uploads(sent: str, stored: str) -> None:
    assert safe_file_name(sent) == stored


@given(st.text())
def test_any_name_becomes_one_plain_file(sent: str) -> None:
    name = safe_file_name(sent)
    assert name not in {"", ".", ".."}
    assert not set(name) & set('/\\:*?"<>|\0')
    assert len(name.encode()) <= 255
    assert safe_file_name(name) == name


def test_a_hostile_name_stays_inside_the_jobs_folder(caller: Caller, server: LocalServer) -> None:
    job_id = caller.submit(name="../../../../evil.sh")
    assert caller.ended(job_id)["status"] == "completed"
    assert (server.data_dir / "jobs" / job_id / "input" / "evil.sh").is_file()


def test_uploads_above_the_limit(scripted: dict[str, TaskSpec], call: type[Caller]) -> None:
    server = LocalServer(workers=1, extra_tasks=scripted, max_upload_bytes=100_000)

    def chunked() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(20):
            yield b"x" * 10_000
        yield b"\r\n--b--\r\n"

    with server, call(server) as caller:
        announced = caller.http.post("/jobs/scripted", files={"file": ("a", b"x" * 100_000)})
        unannounced = caller.http.post(
            "/jobs/scripted", content=chunked(), headers={"content-type": "multipart/form-data; boundary=b"}
        )
        for refused in (announced, unannounced):
            assert refused.status_code == 413
            assert refused.json() == {"detail": "Upload is larger than 100000 bytes"}
        assert list((server.data_dir / "uploads").iterdir()) == []
        assert list((server.data_dir / "jobs").iterdir()) == []
        assert caller.ended(caller.submit(content=b"x" * 90_000))["task_output"] == {"size": 90_000}


def test_a_large_upload_arrives_whole(caller: Caller) -> None:
    content = os.urandom(5_000_003)
    job_id = caller.submit(content=content)
    assert caller.ended(job_id)["task_output"] == {"size": len(content)}
    assert caller.http.get(f"/jobs/{job_id}/files/output/result.bin").content == content


def test_an_endless_text_field_is_refused(caller: Caller) -> None:
    response = caller.http.post(
        "/jobs/hash", files={"file": ("a", b"x")}, data={"algorithm": "x" * (1024 * 1024 + 1)}
    )
    assert (response.status_code, response.json()["detail"]) == (400, "Part exceeded maximum size of 1024KB.")


def test_a_second_file_is_ignored(caller: Caller) -> None:
    files = [("file", ("a.bin", b"first")), ("file", ("b.bin", b"second one"))]
    job_id = str(caller.post("scripted", files)["job_id"])
    assert caller.ended(job_id)["task_output"] == {"size": 5}


def test_a_client_that_goes_away_leaves_nothing(
    server: LocalServer, eventually: Callable[[Callable[[], object]], None]
) -> None:
    address = httpx.URL(server.base_url)
    uploads: Path = server.data_dir / "uploads"
    jobs_before = set((server.data_dir / "jobs").iterdir())
    head = (
        b"POST /jobs/scripted HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="half.jpg"\r\n\r\n'
    )
    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.sendall(head + b"x" * 3_000_000)
        eventually(lambda: list(uploads.glob("*/input/half.jpg")))
    eventually(lambda: not list(uploads.iterdir()))
    assert set((server.data_dir / "jobs").iterdir()) == jobs_before
