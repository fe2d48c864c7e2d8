"""`TokenStore`: the keyring where there is one, a private file where there is none, never both for long."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import keyring.backends.fail
import keyring.backends.null
import platformdirs
import pytest
from pydantic import SecretStr
from typing_extensions import override

from cl_client import ConfigurationError, Token, TokenStore
from cl_client._auth.private_file import PrivateFile
from keyrings import MemoryKeyring, using

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from keyring.backend import KeyringBackend

URL = "http://server:8000"


def token_of(text: str, received_at: float = 1000.0) -> Token:
    return Token(access_token=SecretStr(text), received_at=received_at, lifetime=60.0)


@pytest.fixture
def memory() -> Generator[MemoryKeyring]:
    backend = MemoryKeyring()
    with using(backend):
        yield backend


@pytest.fixture
def no_keyring() -> Generator[None]:
    with using(keyring.backends.fail.Keyring()):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "below" / "sessions"


async def test_the_keyring_keeps_tokens_and_no_file_is_made(memory: MemoryKeyring, folder: Path) -> None:
    store = TokenStore(folder)
    await store.save(URL, "me", token_of("one"), log_in=True)
    assert await store.load(URL, "me") == ("me", token_of("one"))
    assert any("one" in text for text in memory.entries.values())
    assert not folder.exists()


@pytest.mark.parametrize("backend", [keyring.backends.fail.Keyring(), keyring.backends.null.Keyring()])
async def test_without_a_keyring_the_file_keeps_them(backend: KeyringBackend, folder: Path) -> None:
    with using(backend):
        await TokenStore(folder).save(URL, "me", token_of("one"), log_in=True)
        assert await TokenStore(folder).load(URL) == ("me", token_of("one"))


async def test_a_configured_keyring_that_cannot_be_loaded_is_no_keyring(folder: Path) -> None:
    code = (
        "import asyncio, pathlib, sys; from cl_client import Token, TokenStore;"
        "store = TokenStore(pathlib.Path(sys.argv[1]));"
        "asyncio.run(store.save('http://server:8000', 'me', Token(access_token='one')))"
    )
    await run_code(code, str(folder), PYTHON_KEYRING_BACKEND="no.such.Keyring")
    assert (folder / "tokens.json").is_file()


async def run_code(code: str, *arguments: str, **environment: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *arguments), env={**os.environ, **environment}, stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


@pytest.mark.usefixtures("no_keyring")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists in place of modes")
async def test_only_the_owner_can_read_the_file_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        await TokenStore(folder).save(URL, "me", token_of("one"))
        await TokenStore(folder).save(URL, "me", token_of("two"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "tokens.json": 0o600,
        "tokens.lock": 0o600,
    }


@pytest.mark.usefixtures("no_keyring")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists in place of modes")
async def test_a_folder_that_others_could_read_is_made_private(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    await TokenStore(folder).save(URL, "me", token_of("one"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.usefixtures("no_keyring")
async def test_the_file_is_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def user_data_dir(name: str, *, appauthor: bool) -> str:
        assert (name, appauthor) == ("cl_client", False)
        return str(tmp_path)

    monkeypatch.setattr(platformdirs, "user_data_dir", user_data_dir)
    await TokenStore().save(URL, "me", token_of("one"))
    assert (tmp_path / "sessions" / "tokens.json").is_file()


@pytest.mark.parametrize("place", ["keyring", "file"])
async def test_users_and_services_are_kept_apart(place: str, memory: MemoryKeyring, folder: Path) -> None:
    store = TokenStore(folder)
    memory.is_locked = place == "file"
    await store.save(URL, "a", token_of("a1"), log_in=True)
    await store.save(URL, "b", token_of("b1"), log_in=True)
    await store.save(URL, "a", token_of("a2"))
    await store.save("http://other", "c", token_of("c1"), log_in=True)
    # A renewal does not change who logged in last.
    assert await store.load(URL) == ("b", token_of("b1"))
    assert await store.load(URL, "a") == ("a", token_of("a2"))
    assert await store.load("http://other") == ("c", token_of("c1"))
    assert await store.load(URL, "nobody") is None
    assert await store.load("http://third") is None

    await store.remove(URL, "a")
    await store.remove(URL, "a")
    assert await store.load(URL, "a") is None
    assert await store.load(URL) == ("b", token_of("b1"))
    await store.remove(URL, "b")
    assert await store.load(URL) is None


async def test_spellings_of_one_address_are_one(memory: MemoryKeyring, folder: Path) -> None:
    store = TokenStore(folder)
    await store.save("http://me:hidden@SERVER:80/", "me", token_of("one"))
    assert await store.load("http://server", "me") == ("me", token_of("one"))
    assert "hidden" not in repr(memory.entries)


async def test_a_keyring_that_fails_for_a_while_loses_nothing_and_leaves_no_copy(
    memory: MemoryKeyring, folder: Path
) -> None:
    store = TokenStore(folder)
    await store.save(URL, "me", token_of("one"), log_in=True)
    memory.is_locked = True
    await store.save(URL, "you", token_of("two"), log_in=True)
    assert await store.load(URL) == ("you", token_of("two"))
    memory.is_locked = False
    # What came later counts, although the keyring has a user who logged in before.
    assert await store.load(URL) == ("you", token_of("two"))
    await store.save(URL, "you", token_of("three"), log_in=True)
    assert "two" not in (folder / "tokens.json").read_text()
    assert await store.load(URL) == ("you", token_of("three"))
    await store.remove(URL, "you")
    assert "three" not in repr(memory.entries)


async def test_a_token_that_cannot_be_removed_from_the_keyring_is_an_error_that_says_where_it_is(
    folder: Path,
) -> None:
    class Undeletable(MemoryKeyring):
        @override
        def delete_password(self, service: str, username: str) -> None:
            raise RuntimeError(service, username, self.entries)

    with using(Undeletable()):
        store = TokenStore(folder)
        await store.save(URL, "me", token_of("secret-token"))
        with pytest.raises(ConfigurationError, match="delete it there") as caught:
            await store.remove(URL, "me")
    assert "secret-token" not in str(caught.value)


@pytest.mark.usefixtures("no_keyring")
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[1]", b'{"http://server:8000 me": "{}"}', b'{"http://server:8000": 1}'],
)
async def test_a_damaged_file_is_no_session_and_is_replaced_by_the_next_one(
    content: bytes, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True)
    (folder / "tokens.json").write_bytes(content)
    store = TokenStore(folder)
    assert await store.load(URL, "me") is None
    assert "damaged" in caplog.text
    assert "log in again" in caplog.text
    await store.save(URL, "me", token_of("one"))
    assert await store.load(URL, "me") == ("me", token_of("one"))


@pytest.mark.usefixtures("no_keyring")
async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"tokens\.json: cannot be used"):
        await TokenStore(tmp_path / "file" / "below").save(URL, "me", token_of("one"))


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(folder: Path) -> None:
    file = PrivateFile(folder / "texts.json")
    file.put({"name": "text"})
    with pytest.raises(ValueError, match="surrogates"):
        file.put({"name": "\udc80"})
    assert file.get("name") == "text"
    assert {path.name for path in folder.iterdir()} == {"texts.json", "texts.lock"}


SAVES = """
import asyncio, pathlib, sys
from cl_client import Token, TokenStore

async def main(folder, user):
    store = TokenStore(pathlib.Path(folder))
    for number in range(25):
        token = Token(access_token=f"{user}-{number}" + "x" * 2000, received_at=number)
        await store.save("http://server:8000", user, token, log_in=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_several_processes_write_and_read_whole_tokens_at_once(folder: Path) -> None:
    users = ["a", "b", "c"]
    fails = "keyring.backends.fail.Keyring"
    with using(keyring.backends.fail.Keyring()):
        store = TokenStore(folder)
        writers = [
            asyncio.create_task(run_code(SAVES, str(folder), user, PYTHON_KEYRING_BACKEND=fails))
            for user in users
        ]
        seen = -1.0
        while not all(writer.done() for writer in writers):
            found = await store.load(URL, "a")
            if found is not None:
                assert found[1].received_at >= seen
                seen = found[1].received_at
                assert found[1].access_token.get_secret_value().startswith(f"a-{seen:.0f}x")
        await asyncio.gather(*writers)
        for user in users:
            found = await store.load(URL, user)
            assert found is not None
            assert found[1].received_at == 24


async def test_threads_of_one_process_exclude_each_other(folder: Path) -> None:
    file = PrivateFile(folder / "texts.json")
    await asyncio.gather(*(asyncio.to_thread(file.put, {f"n{n}": str(n)}) for n in range(50)))
    assert [file.get(f"n{n}") for n in range(50)] == [str(n) for n in range(50)]


def test_a_tokens_time_is_measured_from_its_arrival() -> None:
    assert not token_of("x", time.time()).is_expired
    assert token_of("x", time.time() - 61).is_expired
    assert not Token(access_token=SecretStr("x"), received_at=0.0).is_expired


async def test_a_keyring_that_is_locked_is_not_taken_for_forgotten(
    memory: MemoryKeyring, folder: Path
) -> None:
    store = TokenStore(folder)
    await store.save(URL, "me", token_of("kept"), log_in=True)
    memory.is_locked = True
    with pytest.raises(ConfigurationError, match="delete it there"):
        await store.remove(URL, "me")
    memory.is_locked = False
    await store.remove(URL, "me")
    assert await store.load(URL) is None
