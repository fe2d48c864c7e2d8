"""A server whose jobs leave behind what the test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from cl_client.local import LocalServer
from written_files_task import TASKS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from cl_client import ComputeClient
    from cl_client.local.generations import Generation


@pytest.fixture(scope="session", params=["A", "C"])
def writing_server(request: pytest.FixtureRequest) -> Generator[LocalServer]:
    """Of the oldest and of the newest generation."""
    generation = cast("Generation", request.param)
    with LocalServer(generation=generation, workers=2, tasks=(), extra_tasks=TASKS) as server:
        yield server


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
