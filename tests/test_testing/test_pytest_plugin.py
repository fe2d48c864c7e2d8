"""The fixtures that downstream projects get."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client.local import LocalServer

TEST = """
import pytest

@pytest.mark.{mark}
async def test_upload(compute_client, compute_server):
    print("server:", compute_server.base_url)
    job = await compute_client.hash.compute(b"x", wait=True, timeout=60)
    assert job.status == "completed"
"""


# Whose local server is to be as cheap as those of all tests.
CONFTEST = """
from forked_workers import fork_workers_here

fork_workers_here()
"""


def run(
    folder: Path, *options: str, mark: str = "asyncio", conftest: str = CONFTEST
) -> subprocess.CompletedProcess[str]:
    (folder / "test_mine.py").write_text(TEST.format(mark=mark))
    return run_there(folder, *options, conftest=conftest)


def run_there(folder: Path, *options: str, conftest: str = CONFTEST) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(conftest)
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "pytest", "-s", *options, "test_mine.py"]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(  # noqa: S603 - pytest
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("asyncio", ["-o", "asyncio_mode=strict"]),
        ("asyncio", ["-o", "asyncio_mode=auto"]),
        ("anyio", ["-p", "no:asyncio"]),
    ],
)
def test_a_local_server_by_default(tmp_path: Path, mark: str, options: list[str]) -> None:
    result = run(tmp_path, *options, mark=mark)
    assert "1 passed" in result.stdout, result.stdout
    assert "server: http://127.0.0.1:" in result.stdout


def test_any_server_by_its_address(tmp_path: Path, local_server: Callable[[], LocalServer]) -> None:
    server = local_server()
    result = run(tmp_path, "--cl-server-url", server.base_url, "--cl-mqtt-url", server.mqtt_url)
    assert "1 passed" in result.stdout, result.stdout
    assert f"server: {server.base_url}" in result.stdout


def test_a_server_without_its_broker_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path, "--cl-server-url", "http://127.0.0.1:1")
    assert result.returncode != 0
    assert "--cl-server-url needs --cl-mqtt-url" in result.stdout + result.stderr


TWO_TESTS = """
async def test_one(faulty_server):
    held = faulty_server.hold_job()
    async with faulty_server.client() as client:
        for _ in range(3):
            await client.hash.compute(b"x")
        await held.reached()
        assert (await client.admin.storage()).job_count == 3
    {end}

async def test_two(faulty_server):
    held = faulty_server.hold_job()
    async with faulty_server.client() as client:
        assert (await client.admin.storage()).job_count == 0
        job = await client.hash.compute(b"x")
        assert await held.reached() == job.job_id
"""


@pytest.mark.parametrize("end", ["pass", "await faulty_server.stop_workers()", "await faulty_server.stop()"])
def test_jobs_that_a_test_leaves_are_deleted(tmp_path: Path, end: str) -> None:
    (tmp_path / "test_mine.py").write_text(TWO_TESTS.format(end=end))
    result = run_there(tmp_path, "-o", "asyncio_mode=auto", "--timeout=60")
    assert "2 passed" in result.stdout, result.stdout


SCOPES = """
import pytest

{marks}
class Test:
    async def test_one(self, compute_client, faulty_server):
        await compute_client.health()
        async with faulty_server.client() as client:
            await client.health()

    async def test_two(self, faulty_server, compute_client):
        await compute_client.health()
        async with faulty_server.client() as client:
            await client.health()
"""


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
@pytest.mark.parametrize("by_marker", [True, False], ids=["by marker", "by option"])
def test_any_scope_of_the_event_loop(tmp_path: Path, scope: str, *, by_marker: bool) -> None:
    mark = f"@pytest.mark.asyncio(loop_scope='{scope}')" if by_marker else ""
    (tmp_path / "test_mine.py").write_text(SCOPES.format(marks=mark))
    options = [] if by_marker else ["-o", f"asyncio_default_test_loop_scope={scope}"]
    command = [sys.executable, "-m", "pytest", "-o", "asyncio_mode=auto", *options, "test_mine.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - pytest
    assert "2 passed" in result.stdout, result.stdout


ISOLATED = """
import pytest

pytestmark = pytest.mark.asyncio

async def test_one(faulty_server):
    await faulty_server.stop_workers()
    async with faulty_server.client() as client:
        for _ in range(3):
            await client.hash.compute(b"x")

async def test_two(faulty_server):
    faulty_server.fail_job("mine")
    async with faulty_server.client() as client:
        assert (await client.hash.compute(b"x", wait=True)).error_message == "mine"
        faulty_server.slow_jobs(600)
        await client.hash.compute(b"x")
    await faulty_server.stop()

async def test_three(faulty_server):
    async with faulty_server.client() as client:
        assert (await client.hash.compute(b"x", wait=True, timeout=60)).status == "completed"
"""


def test_no_test_sees_the_jobs_of_another(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(ISOLATED)
    result = run_there(tmp_path)
    assert "3 passed" in result.stdout, result.stdout


def test_anyio_beside_pytest_asyncio_in_auto_mode_says_what_to_set(tmp_path: Path) -> None:
    result = run(tmp_path, "-o", "asyncio_mode=auto", mark="anyio")
    assert "Tests of anyio's plugin need asyncio_mode=strict, or pytest -p no:asyncio" in result.stdout


NO_EXTRA = """
import sys

sys.modules["amqtt"] = sys.modules["platformdirs"] = None
"""


def test_the_missing_extra_is_named_in_one_line(tmp_path: Path) -> None:
    result = run(tmp_path, conftest=NO_EXTRA)
    assert "platformdirs is not installed: pip install 'cl_client[testing]'" in result.stdout
    assert "Traceback" not in result.stdout


@pytest.mark.parametrize("name", ["FaultyServer", "SessionReplay"])
def test_a_name_says_which_extra_it_needs(name: str, run_python: Callable[[str], str]) -> None:
    code = f"{NO_EXTRA}\nfrom cl_client import MissingExtraError\nimport cl_client.testing\n"
    code += f"try:\n    cl_client.testing.{name}\nexcept MissingExtraError as exc:\n    print(exc)"
    needs = f"cl_client.testing.{name} needs the extra 'testing': pip install 'cl_client[testing]'"
    assert run_python(code) == needs


def test_the_plugin_imports_nearly_nothing(run_python: Callable[[str], str]) -> None:
    code = "import sys, pytest, pytest_asyncio; before = set(sys.modules);"
    code += "import cl_client.testing.pytest_plugin;"
    loaded = run_python(f"{code} print(*sorted(set(sys.modules) - before))")
    assert loaded == "cl_client cl_client.testing cl_client.testing.pytest_plugin"
