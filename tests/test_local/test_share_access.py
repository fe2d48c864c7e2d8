"""Who may have files read by a server, and what others get to know."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest
from typing_extensions import override

from cl_client import (
    AuthClient,
    AuthenticationError,
    AuthProvider,
    ConfigurationError,
    JWTAuthProvider,
    PermissionDeniedError,
    ServerPath,
    ServerPathRefusedError,
)
from cl_client._transfers.references import PROOF_HEADER, proof_of
from cl_client._transfers.share_key import read_share_key
from cl_client.local import LocalServer
from cl_client.testing import FaultProxy
from shares import key_file, post_path

if TYPE_CHECKING:
    from collections.abc import Generator


EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - with logins, or refused


@pytest.fixture
def guarded(share: Path) -> Generator[LocalServer]:
    """A server with logins."""
    with LocalServer(workers=1, shared=[share], auth=True, admin_password="pw") as server:
        yield server


class TestByDefault:
    async def test_nothing_is_shared(self, share: Path) -> None:
        with LocalServer(workers=1) as server:
            async with server.client() as client:
                assert await client.shared_folders() == ()
                assert await client.server_path(share / "a.jpg") is None

    @pytest.mark.parametrize("task", ["hash", "exif", "media_thumbnail"])
    def test_tasks_want_a_file(self, task: str, share: Path) -> None:
        with LocalServer(workers=1) as server:
            answer = post_path(server, share / "a.jpg", task=task, headers={})
            assert answer.status_code == 422
            assert answer.json()["detail"][0] == {
                "type": "missing",
                "loc": ["body", "file"],
                "msg": "Field required",
                "input": None,
            }

    def test_hls_of_the_newest_generation_wants_either(self) -> None:
        words = {"detail": "Either file or input_absolute_path must be provided"}
        with LocalServer(workers=1) as server:
            answer = httpx.get(f"{server.base_url}/shared-folders")
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
        with LocalServer(workers=1, generation="C2") as server:
            answer = httpx.post(f"{server.base_url}/jobs/hls_streaming", files={"priority": (None, "5")})
            assert (answer.status_code, answer.json()) == (400, words)
        with LocalServer(workers=1, generation="C") as server:
            answer = httpx.post(f"{server.base_url}/jobs/hls_streaming", files={"priority": (None, "5")})
            assert answer.status_code == 422


class TestWithoutLogins:
    @pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.168.1.5", "nas.local"])
    def test_other_machines_are_refused_at_the_start(self, host: str, share: Path) -> None:
        with pytest.raises(ValueError, match=r"shared needs auth=True when host is"):
            LocalServer(host=host, shared=[share])

    def test_what_is_no_folder_is_refused_at_the_start(self, share: Path) -> None:
        for path in (share / "a.jpg", share / "missing"):
            with pytest.raises(ValueError, match="is not a folder"):
                LocalServer(shared=[path])

    def test_the_key_is_needed(self, sharing: LocalServer, share: Path) -> None:
        wrong = proof_of(read_share_key(key_file(sharing)), "exif", str(share / "a.jpg"))
        other = proof_of(read_share_key(key_file(sharing)), "hash", str(share / "b.jpg"))
        for proof in ("", "x", "é", "0" * 64, wrong, other):
            answer = post_path(
                sharing, share / "a.jpg", headers=httpx.Headers({PROOF_HEADER: proof}, encoding="utf-8")
            )
            assert answer.status_code == 403, proof
        assert post_path(sharing, share / "missing.jpg", headers={}).status_code == 403
        assert post_path(sharing, share / "a.jpg").status_code == 200

    @pytest.mark.skipif(os.name != "posix", reason="modes of files")
    def test_only_its_user_can_read_the_key(self, sharing: LocalServer) -> None:
        file = Path(key_file(sharing))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        sharing.stop()
        assert not file.parent.exists()

    def test_each_start_has_a_new_key(self, sharing: LocalServer) -> None:
        first = read_share_key(key_file(sharing))
        sharing.stop()
        sharing.start()
        assert read_share_key(key_file(sharing)) != first

    def test_web_pages_learn_nothing_by_another_name(self, sharing: LocalServer, share: Path) -> None:
        host = {"Host": "evil.example"}
        for name in (*host.values(), "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1"):
            answer = httpx.get(f"{sharing.base_url}/shared-folders", headers={"Host": name})
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"}), name
        proof = proof_of(read_share_key(key_file(sharing)), "hash", str(share / "a.jpg"))
        assert post_path(sharing, share / "a.jpg", headers=host | {PROOF_HEADER: proof}).status_code == 404

    async def test_a_client_takes_the_new_key_after_a_restart(self, share: Path) -> None:
        with LocalServer(workers=1, shared=[share]) as server:
            port = httpx.URL(server.base_url).port or 0
            async with server.client() as client:
                await client.hash.compute(ServerPath(str(share / "a.jpg")), wait=True)
                server.stop()
                with LocalServer(workers=1, shared=[share], port=port):
                    await client.hash.compute(ServerPath(str(share / "a.jpg")))

    async def test_a_client_through_a_proxy_on_the_same_machine(
        self, sharing: LocalServer, share: Path
    ) -> None:
        async with FaultProxy(sharing.base_url) as proxy, proxy.client() as client:
            assert await client.shared_folders() == (share,)
            await client.hash.compute(ServerPath(str(share / "a.jpg")), wait=True, raise_on_failure=True)

    async def test_a_user_who_cannot_read_the_key(self, sharing: LocalServer, share: Path) -> None:
        Path(key_file(sharing)).unlink()
        async with sharing.client() as client:
            assert await client.shared_folders() == ()
            assert await client.server_path(share / "a.jpg") is None
            with pytest.raises(ServerPathRefusedError, match="key file cannot be read here") as refused:
                await client.hash.compute(ServerPath(str(share / "a.jpg")))
            assert refused.value.status_code is None

    async def test_the_key_appears_nowhere(
        self, sharing: LocalServer, share: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        key = read_share_key(key_file(sharing))
        secret = key.get_secret_value()
        with caplog.at_level(logging.DEBUG):
            async with FaultProxy(sharing.base_url) as proxy, proxy.client() as client:
                await client.hash.compute(ServerPath(str(share / "a.jpg")), wait=True)
                with pytest.raises(ServerPathRefusedError) as refused:
                    await client.hash.compute(ServerPath(str(share / "b.jpg")))
                sent = b"".join(proxy.requests)
        assert b"x-cl-share-proof" in sent.lower()
        assert secret.encode() not in sent
        assert secret not in caplog.text
        assert secret not in repr(key) + repr(refused.value) + str(refused.value.__cause__)


class LaterLogin(AuthProvider):
    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    @override
    def get_headers(self) -> dict[str, str]:
        return self.headers


class TestWithLogins:
    async def test_a_job_user(self, guarded: LocalServer, share: Path) -> None:
        async with guarded.client(auth_provider=JWTAuthProvider(guarded.issue_token())) as client:
            assert await client.shared_folders() == (share,)
            source = await client.server_path(share / "a.jpg") or share
            assert source == ServerPath.of(share / "a.jpg")
            await client.hash.compute(source, wait=True, raise_on_failure=True)

    async def test_nobody_else(self, guarded: LocalServer, share: Path) -> None:
        assert post_path(guarded, share / "a.jpg", headers={}).status_code == 401
        async with guarded.client() as client:
            assert await client.shared_folders() == ()
            with pytest.raises(AuthenticationError):
                await client.hash.compute(ServerPath(str(share / "a.jpg")))

    async def test_a_user_without_the_permission(self, guarded: LocalServer, share: Path) -> None:
        async with AuthClient(guarded.auth_url, auth_provider=JWTAuthProvider(guarded.issue_token())) as auth:
            await auth.create_user("ann", "pw")
        async with guarded.client(auth_provider=JWTAuthProvider(guarded.issue_token("ann"))) as client:
            assert await client.shared_folders() == ()
            with pytest.raises(PermissionDeniedError, match="ai_inference_support"):
                await client.hash.compute(ServerPath(str(share / "a.jpg")))

    async def test_guest_mode_does_not_open_the_shares(self, guarded: LocalServer, share: Path) -> None:
        token = JWTAuthProvider(guarded.issue_token())
        async with guarded.client(auth_provider=token) as admin, guarded.client() as guest:
            await admin.admin.set_guest_mode(enabled=True)
            await guest.hash.compute(share / "a.jpg", wait=True, raise_on_failure=True)
            assert await guest.shared_folders() == ()
            with pytest.raises(AuthenticationError):
                await guest.hash.compute(ServerPath(str(share / "a.jpg")))
            assert post_path(guarded, share / "a.jpg", headers={}).status_code == 401
            assert post_path(guarded, share / "missing.jpg", headers={}).status_code == 401
            await admin.hash.compute(ServerPath(str(share / "a.jpg")), wait=True, raise_on_failure=True)

    async def test_a_later_login_is_noticed(self, guarded: LocalServer, share: Path) -> None:
        provider = LaterLogin()
        async with guarded.client(auth_provider=provider) as client:
            assert await client.shared_folders() == ()
            provider.headers = {"Authorization": f"Bearer {guarded.issue_token()}"}
            assert await client.shared_folders() == (share,)

    def test_not_with_the_default_password(self, share: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="Folders cannot be shared: everyone can log in"):
            LocalServer(workers=1, shared=[share], auth=True).start()
        with LocalServer(workers=1, auth=True, data_dir=tmp_path / "data"):
            pass
        with pytest.raises(ConfigurationError, match="change the password"):
            LocalServer(
                workers=1, shared=[share], auth=True, admin_password="pw", data_dir=tmp_path / "data"
            ).start()

    def test_other_machines(self, share: Path) -> None:
        with LocalServer(
            workers=1, host=EVERYWHERE, shared=[share], auth=True, admin_password="pw"
        ) as server:
            assert post_path(server, share / "a.jpg", headers={}).status_code == 401
            bearer = {"Authorization": f"Bearer {server.issue_token()}", "Host": "nas.local"}
            assert post_path(server, share / "a.jpg", headers=bearer).status_code == 200
