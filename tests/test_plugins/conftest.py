"""A server that offers all plugins, and one whose jobs leave behind what the test says."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, cast

import pytest

from cl_client import ComputeClient
from cl_client.local import LocalServer
from cl_client.local.samples import draw_photo
from cl_client.testing import ServerAddress
from patience import SECONDS
from small_models import save_small_models
from written_files_task import TASKS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from cl_client.local.generations import Generation

_GENERATIONS: Final[tuple[Generation, ...]] = ("A", "C")


@pytest.fixture(scope="session")
def compute_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[ServerAddress]:
    """The server that ``--server-url`` names, or a local one that offers every task."""
    if request.config.getoption("--server-url") is not None:
        yield cast("ServerAddress", request.getfixturevalue("compute_server"))
        return
    folder = tmp_path_factory.mktemp("models")
    with LocalServer(workers=1, models_dir=folder, models=save_small_models(folder)) as server:
        yield ServerAddress(server.base_url, server.mqtt_url)


@pytest.fixture
async def live_client(request: pytest.FixtureRequest, compute_client: ComputeClient) -> ComputeClient:
    """A client of the server under test; skips where that does not offer the plugin of this test file."""
    task = request.path.stem.removeprefix("test_")
    if task not in await compute_client.wait_for_workers(["hash"], timeout=SECONDS):
        pytest.skip(f"the server under test does not offer {task}")
    return compute_client


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
