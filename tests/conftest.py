"""Fixtures for every test: leak checks, a scripted task, and a real Mosquitto."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from cl_client.local import LocalServer
from support import (
    SCRIPTED,
    SCRIPTED_TASK,
    Mosquitto,
    ScriptedJobs,
    client_of,
    free_port,
    port_of,
    require,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from cl_client.compute_client import ComputeClient
    from cl_client.local.generations import Generation


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Generator[None]:
    """No test leaves a thread of the client behind."""
    before = {thread.ident for thread in threading.enumerate()}
    yield
    left = [t.name for t in threading.enumerate() if t.ident not in before and t.name.startswith("mqtt-")]
    assert not left, f"threads left behind: {left}"


@pytest.fixture
async def no_leaked_tasks() -> AsyncGenerator[None]:
    """No test that asks for this leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    gc.collect()
    assert not left, f"tasks left behind: {left}"


@pytest.fixture
async def scripted_jobs() -> AsyncGenerator[ScriptedJobs]:
    jobs = ScriptedJobs()
    server = await asyncio.start_server(jobs.accept, "127.0.0.1", 0)
    jobs.port = port_of(server.sockets[0])
    async with server:
        yield jobs
        await jobs.hang_up()


@pytest.fixture
def local_server() -> Generator[Callable[..., LocalServer]]:
    """Makes local servers with the scripted task, and stops them after the test."""
    servers: list[LocalServer] = []

    def start(
        generation: Generation = "C", mqtt_url: str | None = None, workers: int = 1, port: int = 0
    ) -> LocalServer:
        server = LocalServer(
            generation=generation,
            mqtt_url=mqtt_url,
            workers=workers,
            port=port,
            extra_tasks={SCRIPTED: SCRIPTED_TASK},
        )
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def make_client() -> Callable[..., ComputeClient]:
    return client_of


@pytest.fixture
def unused_port() -> int:
    return free_port()


@pytest.fixture
def make_mosquitto(tmp_path: Path) -> Generator[Callable[[str], Mosquitto]]:
    brokers: list[Mosquitto] = []

    def start(extra: str = "allow_anonymous true") -> Mosquitto:
        broker = Mosquitto(require("mosquitto"), tmp_path, extra)
        broker.start()
        brokers.append(broker)
        return broker

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Runs code in a fresh interpreter and gives what it printed."""

    def run(code: str) -> str:
        result = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        return result.stdout.strip()

    return run


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """Mosquitto's passwords, with the user ``me`` whose password is ``pw``."""
    path = tmp_path / "passwords"
    subprocess.run([require("mosquitto_passwd"), "-b", "-c", str(path), "me", "pw"], check=True)  # noqa: S603
    return path
