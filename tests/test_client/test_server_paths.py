"""Paths on the server's disk: what is checked before anything is sent, and servers that do not take them."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import cast

import pytest

from cl_client import (
    InvalidParameterError,
    PermissionDeniedError,
    ServerError,
    ServerPath,
    ServerPathRefusedError,
    ServerUnavailableError,
)
from cl_client._jobs.references import server_path_below
from cl_client._transfers.references import PROOF_HEADER
from cl_client._transfers.share_key import ShareKeyError, read_share_key
from cl_client.testing import StubServer, http_response

KEY = "0123456789abcdef" * 4
NOT_FOUND = http_response("404 Not Found", json.dumps({"detail": "Not Found"}))
ACCEPTED = http_response("200 OK", json.dumps({"job_id": "j", "status": "queued", "task_type": "hash"}))
MISSING_FILE = http_response(
    "422 Unprocessable Entity",
    json.dumps(
        {"detail": [{"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": None}]}
    ),
)


class TestThePath:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/photos/a.jpg", "a.jpg"),
            ("/photos/back\\slash.jpg", "back\\slash.jpg"),
            ("//nas/photos/a.jpg", "a.jpg"),
            ("/photos/a..b/..c", "..c"),
            ("D:\\photos\\a.jpg", "a.jpg"),
            ("D:/photos/a.jpg", "a.jpg"),
            ("\\\\nas\\photos\\a.jpg", "a.jpg"),
        ],
    )
    def test_is_absolute_on_the_server(self, path: str, name: str) -> None:
        assert ServerPath(path).path == path
        assert ServerPath(path).name == name

    def test_has_the_form_of_the_server_and_not_of_this_machine(self) -> None:
        assert ServerPath("/a/b.jpg").pure_path == PurePosixPath("/a/b.jpg")
        assert ServerPath("C:\\a\\b.jpg").pure_path == PureWindowsPath("C:/a/b.jpg")

    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            ("", "must be absolute"),
            ("a.jpg", "must be absolute"),
            ("./a.jpg", "must be absolute"),
            ("~/a.jpg", "must be absolute"),
            ("file:///a.jpg", "must be absolute"),
            ("C:a.jpg", "must be absolute"),
            ("\\photos\\a.jpg", "must be absolute"),
            ("/photos/../a.jpg", "must not contain '..'"),
            ("/..", "must not contain '..'"),
            ("D:\\photos\\..\\a.jpg", "must not contain '..'"),
            ("D:/photos/../a.jpg", "must not contain '..'"),
            ("/photos/a\0.jpg", "NUL"),
            ("/", "names a folder"),
            ("/photos/", "names a folder"),
            ("D:\\", "names a folder"),
            ("D:\\photos\\", "names a folder"),
            ("\\\\nas\\photos\\", "names a folder"),
            ("/photos/\udcff.jpg", "not valid Unicode"),
        ],
    )
    def test_is_refused(self, path: str, problem: str) -> None:
        with pytest.raises(InvalidParameterError, match=problem):
            ServerPath(path)

    def test_is_text(self) -> None:
        with pytest.raises(InvalidParameterError, match="pass the path as text"):
            ServerPath(cast("str", Path("/a.jpg")))


class TestALocalFile:
    def test_gives_its_size_and_whole_seconds(self, tmp_path: Path) -> None:
        file = tmp_path / "a.jpg"
        file.write_bytes(b"12345")
        os.utime(file, ns=(0, 1_700_000_000_999_999_999))
        assert ServerPath.of(file) == ServerPath(str(file), 5, 1_700_000_000)

    def test_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidParameterError, match="cannot be read: No such file"):
            ServerPath.of(tmp_path / "a.jpg")

    def test_is_below_a_shared_folder(self, tmp_path: Path) -> None:
        folder = tmp_path.resolve() / "photos"
        folder.mkdir()
        (folder / "a.jpg").write_bytes(b"x")
        (tmp_path / "link.jpg").symlink_to(folder / "a.jpg")
        expected = ServerPath.of(folder / "a.jpg")
        assert server_path_below((folder,), folder / "a.jpg") == expected
        assert server_path_below((folder,), tmp_path / "link.jpg") == expected
        assert server_path_below((folder,), folder / ".." / "photos" / "a.jpg") == expected
        assert server_path_below((folder,), tmp_path / "photos2" / "a.jpg") is None
        assert server_path_below((folder,), folder / "missing.jpg") is None
        assert server_path_below((PureWindowsPath("C:/photos"),), folder / "a.jpg") is None
        assert server_path_below((), folder / "a.jpg") is None
        (folder / "a.jpg").write_bytes(b"")
        assert server_path_below((folder,), folder / "a.jpg") is None

    @pytest.mark.skipif(os.name != "posix", reason="names that are not Unicode")
    def test_with_a_name_that_cannot_be_sent(self, tmp_path: Path) -> None:
        file = tmp_path.resolve() / os.fsdecode(b"\xff.jpg")
        file.write_bytes(b"x")
        assert server_path_below((tmp_path.resolve(),), file) is None


class TestTheKeyFile:
    """A server names it, and must not get at anything else."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path.resolve()

    def write(self, file: Path, content: str = KEY, mode: int = 0o600) -> str:
        file.write_text(content)
        file.chmod(mode)
        return str(file)

    def test_is_read(self, folder: Path) -> None:
        key = read_share_key(self.write(folder / "share.key", f"{KEY}\n"))
        assert key.get_secret_value() == KEY
        assert KEY not in repr(key)

    @pytest.mark.parametrize(
        "content",
        ["", KEY[1:], f"{KEY}0", f"{KEY}\n\n", KEY.upper(), f" {KEY[1:]}", "x" * 64, f"{KEY}\n{KEY}"],
    )
    def test_has_one_form(self, folder: Path, content: str) -> None:
        with pytest.raises(ShareKeyError, match="does not contain a key") as refused:
            read_share_key(self.write(folder / "share.key", content))
        assert content[:8] not in str(refused.value) or not content

    def test_has_one_name(self, folder: Path) -> None:
        self.write(folder / "share.key")
        for name in (self.write(folder / "id_rsa"), "share.key", f"{folder}/share.key/", "", "\0/share.key"):
            if not name.endswith("/"):
                with pytest.raises(ShareKeyError):
                    read_share_key(name)

    @pytest.mark.skipif(os.name != "posix", reason="kinds and modes of files")
    def test_is_a_private_file(self, folder: Path) -> None:
        key = folder / "share.key"
        os.mkfifo(key, 0o600)
        with pytest.raises(ShareKeyError, match="does not belong to this user alone"):
            read_share_key(str(key))
        key.unlink()
        self.write(folder / "other")
        key.symlink_to(folder / "other")
        with pytest.raises(ShareKeyError, match="cannot be read here"):
            read_share_key(str(key))
        key.unlink()
        with pytest.raises(ShareKeyError, match="does not belong to this user alone"):
            read_share_key(self.write(key, mode=0o644))
        key.unlink()
        key.mkdir(0o700)
        with pytest.raises(ShareKeyError):
            read_share_key(str(key))


def announcement(**content: object) -> bytes:
    return http_response("200 OK", json.dumps(content))


class TestRealServers:
    """They announce no folders, and most of their tasks take no paths."""

    async def test_a_task_that_wants_a_file(self) -> None:
        stub = StubServer(MISSING_FILE, files={"shared-folders": NOT_FOUND})
        async with stub.running() as client:
            assert await client.shared_folders() == ()
            with pytest.raises(ServerPathRefusedError) as refused:
                await client.hash.compute(ServerPath("/photos/a.jpg"))
        message = str(refused.value)
        assert message.startswith("hash: http://127.0.0.1:")
        assert "'/photos/a.jpg'" in message
        assert "file: Field required (HTTP 422)" in message
        assert refused.value.reason == "file: Field required (HTTP 422)"
        assert message.endswith("upload the file: pass Path(...)")
        assert (refused.value.task_type, refused.value.path, refused.value.status_code) == (
            *("hash", "/photos/a.jpg", 422),
        )
        assert stub.targets == ["/shared-folders", "/jobs/hash"]

    @pytest.mark.parametrize(
        ("status", "detail"),
        [
            ("405 Method Not Allowed", "Method Not Allowed"),
            ("400 Bad Request", "Either file or input_absolute_path must be provided"),
        ],
    )
    async def test_other_refusals(self, status: str, detail: str) -> None:
        refusal = http_response(status, json.dumps({"detail": detail}))
        stub = StubServer(refusal, files={"shared-folders": NOT_FOUND})
        async with stub.running() as client:
            with pytest.raises(ServerPathRefusedError, match=detail):
                await client.exif.extract(ServerPath("/photos/a.jpg"))

    async def test_other_errors_stay_as_they_are(self) -> None:
        stub = StubServer(
            http_response("500 Error", "Internal Server Error"), files={"shared-folders": NOT_FOUND}
        )
        async with stub.running() as client:
            with pytest.raises(ServerError):
                await client.exif.extract(ServerPath("/photos/a.jpg"))

    async def test_a_server_that_forbids_jobs(self) -> None:
        forbidden = http_response("403 Forbidden", json.dumps({"detail": "Insufficient permissions"}))
        stub = StubServer(forbidden, files={"shared-folders": NOT_FOUND})
        async with stub.running() as client:
            with pytest.raises(PermissionDeniedError) as refused:
                await client.exif.extract(ServerPath("/photos/a.jpg"))
        assert refused.value.__cause__ is not refused.value
        assert stub.targets == ["/shared-folders", "/jobs/exif"]

    @pytest.mark.parametrize(("answers", "perhaps"), [([b"", b""], False), ([NOT_FOUND, b""], True)])
    async def test_a_lost_connection(self, answers: list[bytes], *, perhaps: bool) -> None:
        stub = StubServer(*answers)
        async with stub.running(max_retries=0) as client:
            with pytest.raises(ServerUnavailableError) as lost:
                await client.exif.extract(ServerPath("/photos/a.jpg"))
        assert lost.value.may_have_been_accepted is perhaps

    async def test_only_the_path_is_sent(self) -> None:
        stub = StubServer(ACCEPTED, files={"shared-folders": NOT_FOUND})
        told: list[tuple[int, int | None]] = []
        async with stub.running() as client:
            source = ServerPath("/photos/a.jpg", size=5, modified=7)
            job = await client.hash.compute(source, on_upload=lambda done, total: told.append((done, total)))
        assert job.job_id == "j"
        request = stub.requests[-1].decode()
        assert 'name="input_absolute_path"\r\n\r\n/photos/a.jpg\r\n' in request
        assert "input_size" not in request
        assert "filename=" not in request
        assert PROOF_HEADER.lower() not in request.lower()
        assert told == [(0, 0)]

    async def test_hls_needs_a_folder_for_its_output(self) -> None:
        stub = StubServer(ACCEPTED, files={"shared-folders": NOT_FOUND})
        async with stub.running() as client:
            with pytest.raises(ServerPathRefusedError, match="give output_dir"):
                await client.hls_streaming.generate_manifest(ServerPath("/videos/a.mp4"))
            with pytest.raises(InvalidParameterError, match="must be absolute"):
                await client.hls_streaming.generate_manifest(
                    ServerPath("/videos/a.mp4"), output_dir="streams"
                )
            with pytest.raises(InvalidParameterError, match="needs a video that is a ServerPath"):
                await client.hls_streaming.generate_manifest(b"x", output_dir="/streams/a")
            await client.hls_streaming.generate_manifest(ServerPath("/videos/a.mp4"), output_dir="/streams/a")
        request = stub.requests[-1].decode()
        assert 'name="output_absolute_path"\r\n\r\n/streams/a\r\n' in request
        assert stub.targets == ["/shared-folders", "/jobs/hls_streaming"]

    async def test_a_proxy_that_answers_everything_with_a_page(self) -> None:
        stub = StubServer(http_response("200 OK", "<html>"))
        async with stub.running() as client:
            assert await client.shared_folders() == ()


class TestWhatIsShared:
    async def test_is_asked_once(self) -> None:
        stub = StubServer(
            ACCEPTED, files={"shared-folders": announcement(folders=["/p", "D:\\p"], key_file=None)}
        )
        async with stub.running() as client:
            assert await client.shared_folders() == (PurePosixPath("/p"), PureWindowsPath("D:/p"))
            await client.hash.compute(ServerPath("/p/a.jpg", size=5, modified=7))
            await client.with_options(timeout=5).hash.compute(ServerPath("/p/a.jpg"))
            assert stub.targets.count("/shared-folders") == 1
            assert 'name="input_size"\r\n\r\n5\r\n' in stub.requests[1].decode()
            assert 'name="input_modified"\r\n\r\n7\r\n' in stub.requests[1].decode()
            await client.shared_folders(cache=False)
            assert stub.targets.count("/shared-folders") == 2
            with pytest.raises(InvalidParameterError, match="ttl"):
                await client.shared_folders(ttl=0)

    async def test_a_server_cannot_ask_for_other_files(self, tmp_path: Path) -> None:
        secret = tmp_path.resolve() / "secret"
        secret.write_text(KEY)
        secret.chmod(0o600)
        answer = announcement(folders=["/p"], key_file=str(secret))
        stub = StubServer(ACCEPTED, files={"shared-folders": answer})
        async with stub.running() as client:
            assert await client.shared_folders() == ()
            with pytest.raises(ServerPathRefusedError, match="names no valid key file"):
                await client.hash.compute(ServerPath("/p/a.jpg"))
        assert stub.targets == ["/shared-folders"]


async def test_map_takes_paths() -> None:
    stub = StubServer(MISSING_FILE, files={"shared-folders": NOT_FOUND})
    async with stub.running() as client:
        sources = [ServerPath("/p/a.jpg"), ServerPath("/p/b.jpg")]
        outcomes = {source: job async for source, job in client.hash.map(sources)}
    assert [*outcomes] == sources or [*outcomes] == sources[::-1]
    assert all(isinstance(job, ServerPathRefusedError) for job in outcomes.values())
    assert stub.targets.count("/shared-folders") == 1
