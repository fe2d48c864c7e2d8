"""A server that offers all plugins, and one whose jobs leave behind what the test says.

With ``--cl-server-url``, the fixtures `compute_server`, `compute_client` and `live_client` are of that
server. It may be a real one, on another machine, with the public models, and with jobs of others. What
depends on its generation, tests ask of `server_under_test`. All other servers here are local: their tests
decide what jobs leave behind, see what only the local server does, or send nothing.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, cast

import pytest
from PIL import Image

from cl_client import ComputeClient
from cl_client.local import LocalServer
from cl_client.local.samples import draw_photo
from cl_client.models import TaskParams
from cl_client.testing import ServerAddress
from patience import SECONDS
from server_under_test import FAILING_TASKS, ServerUnderTest
from small_models import save_small_models
from written_files_task import TASKS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from pathlib import Path

    from cl_client.local.generations import Generation

_GENERATIONS: Final[tuple[Generation, ...]] = ("A", "C")


@pytest.fixture(scope="session")
def compute_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[ServerAddress]:
    """The server that ``--cl-server-url`` names, or a local one that offers every task."""
    if request.config.getoption("--cl-server-url") is not None:
        yield cast("ServerAddress", request.getfixturevalue("compute_server"))
        return
    folder = tmp_path_factory.mktemp("models")
    with LocalServer(workers=1, models_dir=folder, models=save_small_models(folder)) as server:
        yield ServerAddress(server.base_url, server.mqtt_url)


@pytest.fixture(scope="session")
def server_under_test(request: pytest.FixtureRequest, compute_server: ServerAddress) -> ServerUnderTest:
    is_own = request.config.getoption("--cl-server-url") is None
    return ServerUnderTest.at(compute_server.base_url, is_own=is_own)


@pytest.fixture
def skip_unless_served(
    compute_client: ComputeClient, server_under_test: ServerUnderTest, tmp_path: Path
) -> Callable[[str], Awaitable[None]]:
    """Skips a test of a task that the server under test does not offer, or at which it fails altogether."""

    async def check(task: str) -> None:
        if task not in await compute_client.wait_for_workers(["hash"], timeout=SECONDS):
            pytest.skip(f"the server under test does not offer {task}")
        if task in FAILING_TASKS and not server_under_test.is_own:
            Image.new("RGB", (8, 8)).save(tmp_path / "tried.png")
            job = await compute_client.plugin(task).submit(tmp_path / "tried.png", TaskParams(), wait=True)
            if server_under_test.fails_at(job):
                pytest.skip(f"the server under test fails at every job of {task}: {job.error_message}")

    return check


@pytest.fixture
async def live_client(
    request: pytest.FixtureRequest,
    compute_client: ComputeClient,
    skip_unless_served: Callable[[str], Awaitable[None]],
) -> ComputeClient:
    """A client of the server under test; skips where that does not serve the plugin of this test file."""
    await skip_unless_served(request.path.stem.removeprefix("test_"))
    return compute_client


@pytest.fixture
async def local_client() -> AsyncGenerator[ComputeClient]:
    """A client of a local server in any case, for what only that does."""
    async with LocalServer(workers=1) as server, server.client() as client:
        yield client


@pytest.fixture
async def silent_client() -> AsyncGenerator[ComputeClient]:
    """Nothing listens there; what is sent would fail with another error."""
    async with ComputeClient("http://127.0.0.1:1", mqtt_broker="off") as client:
        yield client


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo with the metadata of a camera."""
    path = tmp_path / "photo.jpg"
    draw_photo(path, size=(640, 480))
    return path


@pytest.fixture(scope="session")
def writing_servers() -> Generator[dict[Generation, LocalServer]]:
    """Of the oldest and of the newest generation."""
    with ExitStack() as running:
        yield {
            generation: running.enter_context(
                LocalServer(generation=generation, workers=2, tasks=(), extra_tasks=TASKS)
            )
            for generation in _GENERATIONS
        }


@pytest.fixture(params=_GENERATIONS)
def writing_server(
    request: pytest.FixtureRequest, writing_servers: dict[Generation, LocalServer]
) -> LocalServer:
    return writing_servers[cast("Generation", request.param)]


@pytest.fixture
async def writing_client(writing_server: LocalServer) -> AsyncGenerator[ComputeClient]:
    async with writing_server.client() as client:
        yield client


@pytest.fixture(scope="session")
def names_below() -> Callable[[Path], set[str]]:
    """Everything below a folder, as paths relative to it."""

    def names(folder: Path) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}

    return names
