"""Models: where they are looked for, and how they come from a real HTTP server in this process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast

import pytest
from typing_extensions import override

from cl_client.exceptions import ConfigurationError
from cl_client.local import LocalServer
from cl_client.local.models.catalog import MODELS
from cl_client.local.models.download import ModelDownloadError, address_of
from cl_client.local.models.store import ModelStore, ModelUnavailableError, default_folder
from cl_client.local.models.users_models import users_models
from cl_client.local.tasks import TaskSpec
from patience import soon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.test_local.conftest import Caller, Listener

CONTENT = b"a model, or so" * 300_000
"""A few megabytes, so that it comes in more than one block."""
DIGEST = hashlib.sha256(CONTENT).hexdigest()
DINO_FILE = "dinov2_vits14.onnx"


class Mirror(ThreadingHTTPServer):
    """Sends every file by way of a redirect, as the models' public addresses do.

    Attributes:
        files: What it has, by name.
        sent: The names of the files that it has sent or begun to send.
        faulty: It hangs up in the midst of each file.
        gate: It pauses in the midst of each file until this is set.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MirrorHandler)
        self.files: dict[str, bytes] = {}
        self.sent: list[str] = []
        self.faulty = False
        self.gate = threading.Event()
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_port}/models"


class _MirrorHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        mirror = cast("Mirror", self.server)
        folder, name = self.path.rsplit("/", 1)
        content = mirror.files.get(name)
        if content is None:
            self.send_error(404)
        elif folder == "/models":
            self.send_response(302)
            self.send_header("Location", f"/elsewhere/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            mirror.sent.append(name)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            middle = len(content) // 2
            self.wfile.write(content[:middle])
            self.wfile.flush()
            mirror.gate.wait()
            if not mirror.faulty:
                self.wfile.write(content[middle:])

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("CL_CLIENT_MODELS_MIRROR", server.url)
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of a user who has set nothing."""
    for name in ("HOME", "USERPROFILE", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("CL_CLIENT_MODELS", "CL_CLIENT_MODELS_MIRROR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def put(folder: Path, file_name: str = DINO_FILE, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / file_name
    file.write_bytes(content)
    return file


def test_every_model_has_an_address_and_a_file_of_its_own() -> None:
    assert set(MODELS) == {"mobileclip", "dinov2", "arcface", "yunet"}
    assert all(model.url.startswith("https://") for model in MODELS.values())
    assert len({model.file_name for model in MODELS.values()}) == len(MODELS)
    digests = [model.sha256 for model in MODELS.values() if model.sha256 is not None]
    assert digests
    assert all(len(bytes.fromhex(digest)) == hashlib.sha256().digest_size for digest in digests)


def test_the_users_cache_folder_comes_before_that_of_a_cl_server(home: Path) -> None:
    store = users_models()
    assert store.folder == default_folder()
    assert store.find("dinov2") is None
    theirs = put(home / ".cache" / "cl_ml_tools" / "models")
    assert users_models().require("dinov2") == theirs


def test_a_folder_that_is_named_is_the_only_one(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home / ".cache" / "cl_ml_tools" / "models")
    mine = put(tmp_path / "mine")
    assert users_models(tmp_path / "empty").find("dinov2") is None
    assert users_models(mine.parent).find("dinov2") == mine
    monkeypatch.setenv("CL_CLIENT_MODELS", str(mine.parent))
    assert users_models().find("dinov2") == mine
    assert users_models(tmp_path / "empty").find("dinov2") is None


def test_a_named_file_comes_first_and_is_used_as_it_is(store: ModelStore, tmp_path: Path) -> None:
    put(store.folder)
    mine = put(tmp_path, "my-yunet.onnx", b"another digest than the published one")
    named = ModelStore(store.folder, {"yunet": mine, "dinov2": tmp_path / "gone.onnx"})
    assert named.require("yunet") == mine
    assert named.find("dinov2") is None
    with pytest.raises(
        ModelUnavailableError, match=r"configured as model dinov2 was not found: .*gone\.onnx"
    ):
        named.require("dinov2")


def test_a_missing_model_says_what_to_do(store: ModelStore, home: Path) -> None:
    assert home.is_absolute()
    with pytest.raises(ModelUnavailableError) as failure:
        store.require("dinov2")
    for part in (
        DINO_FILE,
        str(store.folder / DINO_FILE),
        MODELS["dinov2"].url,
        f'cl-client models pull dinov2 --models-dir "{store.folder}"',
    ):
        assert part in str(failure.value)
    with pytest.raises(ModelUnavailableError, match="cl-client models pull dinov2 - or"):
        users_models().require("dinov2")


def test_an_unknown_model_is_a_mistake_of_the_caller(store: ModelStore) -> None:
    with pytest.raises(KeyError):
        store.find("gpt")
    with pytest.raises(ValueError, match="Unknown models: gpt; known models: mobileclip, dinov2"):
        LocalServer(models={"gpt": store.folder})


async def test_a_model_is_fetched_once(mirror: Mirror, store: ModelStore) -> None:
    mirror.files[DINO_FILE] = CONTENT
    progress: list[tuple[int, int | None]] = []
    path = await store.pull("dinov2", lambda done, total: progress.append((done, total)))

    assert path == store.require("dinov2") == store.folder / DINO_FILE
    assert path.read_bytes() == CONTENT
    assert progress == sorted(progress)
    assert len(progress) > 1
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    record = store.folder / f"{DINO_FILE}.sha256"
    assert record.read_text("utf-8") == f"{DIGEST}  {DINO_FILE}\n"
    assert sorted(store.folder.iterdir()) == [path, record]

    assert await store.pull("dinov2") == path
    assert mirror.sent == [DINO_FILE]


async def test_a_model_of_a_cl_server_is_not_fetched_again(
    home: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CL_CLIENT_MODELS_MIRROR", mirror.url)
    theirs = put(home / ".cache" / "cl_ml_tools" / "models")
    assert await users_models().pull("dinov2") == theirs
    assert not mirror.sent


async def test_a_file_that_was_damaged_is_refused_and_fetched_again(
    mirror: Mirror, store: ModelStore
) -> None:
    mirror.files[DINO_FILE] = CONTENT
    path = await store.pull("dinov2")
    damaged = CONTENT[:-1] + b"!"
    path.write_bytes(damaged)
    with pytest.raises(ModelUnavailableError) as failure:
        store.require("dinov2")
    for part in (hashlib.sha256(damaged).hexdigest(), DIGEST, str(path), "cl-client models pull dinov2"):
        assert part in str(failure.value)

    await store.pull("dinov2")
    assert store.require("dinov2").read_bytes() == CONTENT


async def test_another_file_than_the_first_time_is_refused(mirror: Mirror, store: ModelStore) -> None:
    mirror.files[DINO_FILE] = CONTENT
    (await store.pull("dinov2")).unlink()
    mirror.files[DINO_FILE] = b"something else"
    with pytest.raises(ModelDownloadError) as failure:
        await store.pull("dinov2")
    record = store.folder / f"{DINO_FILE}.sha256"
    for part in (DIGEST, hashlib.sha256(b"something else").hexdigest(), mirror.url, str(record)):
        assert part in str(failure.value)
    assert list(store.folder.iterdir()) == [record]

    record.unlink()
    assert (await store.pull("dinov2")).read_bytes() == b"something else"


async def test_a_file_without_the_published_digest_is_refused(mirror: Mirror, store: ModelStore) -> None:
    published = MODELS["yunet"]
    mirror.files[published.file_name] = CONTENT
    with pytest.raises(ModelDownloadError) as failure:
        await store.pull("yunet")
    for part in (DIGEST, str(published.sha256), f"{len(CONTENT):,} bytes", "232,589 bytes"):
        assert part in str(failure.value)
    assert not list(store.folder.iterdir())


async def test_a_file_that_does_not_come_whole_leaves_nothing(mirror: Mirror, store: ModelStore) -> None:
    mirror.files[DINO_FILE] = CONTENT
    mirror.faulty = True
    with pytest.raises(ModelDownloadError, match=DINO_FILE):
        await store.pull("dinov2")
    assert not list(store.folder.iterdir())


async def test_a_cancelled_fetch_leaves_nothing(mirror: Mirror, store: ModelStore) -> None:
    mirror.files[DINO_FILE] = CONTENT
    mirror.gate.clear()
    begun = asyncio.Event()
    pulling = asyncio.create_task(store.pull("dinov2", lambda _done, _total: begun.set()))
    await soon(begun.wait())
    assert list(store.folder.iterdir())
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    assert not list(store.folder.iterdir())


@pytest.mark.usefixtures("mirror")
async def test_a_file_that_the_mirror_does_not_have(store: ModelStore) -> None:
    with pytest.raises(ModelDownloadError, match=rf"^{DINO_FILE}: http://.*/{DINO_FILE} answers 404 Not F"):
        await store.pull("dinov2")


async def test_nobody_answers(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _, port = cast("tuple[str, int]", taken.getsockname())
    monkeypatch.setenv("CL_CLIENT_MODELS_MIRROR", f"http://127.0.0.1:{port}/")
    with pytest.raises(
        ModelDownloadError, match=rf"cannot be downloaded from http://127\.0\.0\.1:{port}/dinov2"
    ):
        await store.pull("dinov2")


@pytest.mark.usefixtures("home")
def test_addresses_are_public_unless_there_is_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["arcface"]
    assert address_of(model) == model.url
    monkeypatch.setenv("CL_CLIENT_MODELS_MIRROR", "https://mirror.example/onnx/")
    assert address_of(model) == "https://mirror.example/onnx/arcface_face_embedding.onnx"
    monkeypatch.setenv("CL_CLIENT_MODELS_MIRROR", "mirror.example")
    with pytest.raises(ConfigurationError, match="models_mirror"):
        address_of(model)


def test_a_task_of_ones_own_can_have_a_model_of_ones_own(store: ModelStore) -> None:
    task = TaskSpec("my:run", "my:Params", "output/result", models=("mine",))
    with pytest.raises(ValueError, match="No download URL for the models mine"):
        LocalServer(extra_tasks={"my": task}, models_dir=store.folder)
    server = LocalServer(
        extra_tasks={"my": task}, models_dir=store.folder, models={"mine": store.folder / "mine.onnx"}
    )
    assert "my" not in server.task_types
    put(store.folder, "mine.onnx")
    assert "my" in server.task_types


def test_a_task_is_announced_once_its_model_is_pulled(
    mirror: Mirror,
    store: ModelStore,
    call: type[Caller],
    listen: type[Listener],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    mirror.files[DINO_FILE] = CONTENT

    def announced() -> list[str]:
        capabilities = listener.workers()[-1].body["capabilities"]
        return cast("list[str]", capabilities)

    with (
        LocalServer(workers=1, models_dir=store.folder, poll_interval=0.05) as server,
        call(server) as caller,
        listen(server.mqtt_url) as listener,
    ):
        eventually(listener.workers)
        assert "hash" in announced()
        assert "dino_embedding" not in announced()
        assert "dino_embedding" not in server.task_types
        assert "dino_embedding" not in json.dumps(caller.read("/capabilities"))
        job = caller.ended(caller.submit("dino_embedding"))
        assert job["status"] == "error"
        with pytest.raises(ModelUnavailableError) as failure:
            store.require("dinov2")
        assert job["error_message"] == str(failure.value)

        asyncio.run(store.pull("dinov2"))
        eventually(lambda: "dino_embedding" in announced())
        assert "clip_embedding" not in announced()
        assert "dino_embedding" in server.task_types
        assert "dino_embedding" in json.dumps(caller.read("/capabilities"))
