"""Starting, stopping and crashing: nothing is left behind, and nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import httpx
import psutil
import pytest

from cl_client.local import LocalServer
from forked_workers import fresh_interpreters
from patience import SECONDS
from support import port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.test_local.conftest import Caller

    from cl_client.local.settings import BrokerChoice
    from cl_client.local.tasks import TaskSpec


def descendants() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture
def real_workers() -> Iterator[None]:
    """Started as users have them, not forked."""
    with fresh_interpreters():
        yield


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, as far as this process is concerned."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("real_workers")
def test_nothing_is_left_after_a_stop(
    temporary_folder: Path,
    broker_choice: BrokerChoice,
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    threads, processes = set(threading.enumerate()), descendants()
    server = LocalServer(workers=2, extra_tasks=scripted, broker=broker_choice)
    brokers = {"mosquitto": 2, "amqtt": 0}[broker_choice]  # Mosquitto, and the shell that ends it
    with server, call(server) as caller:
        data_dir, base_url, mqtt_url = server.data_dir, server.base_url, server.mqtt_url
        # Two jobs are interrupted in their midst. The second worker's process starts for the second one.
        for number in (1, 2):
            assert len(descendants() - processes) == 1 + brokers
            job_id = caller.submit(gate=str(data_dir / f"never-{number}"))
            eventually(partial(caller.has_status, job_id, "processing"))
        eventually(lambda: len(descendants() - processes) == 2 + brokers)
        assert [path for path in temporary_folder.iterdir() if not path.name.startswith("cl-mqtt-")] == [
            data_dir
        ]
    assert list(temporary_folder.iterdir()) == []
    assert descendants() == processes
    eventually(lambda: set(threading.enumerate()) <= threads)
    for url in (base_url, mqtt_url):
        address = httpx.URL(url)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.host, address.port or 0))


@pytest.mark.usefixtures("real_workers")
def test_start_and_stop_are_idempotent_and_can_be_repeated(call: type[Caller]) -> None:
    server = LocalServer(workers=1)
    server.stop()
    for _ in range(2):
        server.start()
        address = server.base_url
        server.start()
        assert server.base_url == address
        with call(server) as caller:
            assert caller.ended(caller.submit("hash"))["status"] == "completed"
        server.stop()
        server.stop()
        with pytest.raises(RuntimeError, match="not running"):
            _ = server.base_url


async def test_a_blocked_caller_does_not_stall_the_server(call: type[Caller]) -> None:
    async with LocalServer(workers=1) as server:
        # Plain blocking calls on this loop: a server on the same loop could never answer them.
        with call(server) as caller:
            assert caller.ended(caller.submit("hash"))["status"] == "completed"


@pytest.mark.usefixtures("real_workers")
async def test_a_cancelled_start_leaves_nothing(
    temporary_folder: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    processes = descendants()
    server = LocalServer(workers=1)
    starting = asyncio.create_task(server.__aenter__())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert list(temporary_folder.iterdir()) == []
    eventually(lambda: descendants() == processes)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.base_url


@pytest.mark.parametrize(("setting", "purpose"), [("port", "HTTP server"), ("mqtt_port", "MQTT broker")])
def test_a_taken_port_is_named_and_nothing_is_left(
    setting: str, purpose: str, temporary_folder: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    threads = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port_of(taken)
        server = LocalServer(port=port) if setting == "port" else LocalServer(mqtt_port=port)
        with pytest.raises(
            OSError, match=f"The local server's {purpose} cannot listen on 127.0.0.1 port {port}"
        ):
            server.start()
    eventually(lambda: set(threading.enumerate()) <= threads)
    assert list(temporary_folder.iterdir()) == []


def test_a_data_folder_serves_one_server(tmp_path: Path) -> None:
    with (
        LocalServer(workers=1, data_dir=tmp_path),
        pytest.raises(OSError, match="in use by another server"),
    ):
        LocalServer(workers=1, data_dir=tmp_path).start()


def test_a_given_data_folder_stays(tmp_path: Path, call: type[Caller]) -> None:
    with LocalServer(workers=1, data_dir=tmp_path / "new") as server, call(server) as caller:
        job_id = caller.submit("hash")
        before = caller.ended(job_id)
    with LocalServer(workers=1, data_dir=tmp_path / "new") as server, call(server) as caller:
        assert caller.job(job_id) == before


def test_interrupted_jobs_run_again_after_a_stop(
    tmp_path: Path,
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    gate = tmp_path / "gate"
    with LocalServer(workers=1, data_dir=tmp_path, extra_tasks=scripted) as server, call(server) as caller:
        running, waiting = (caller.submit(gate=str(gate)) for _ in range(2))
        eventually(lambda: caller.has_status(running, "processing"))
    gate.touch()
    with LocalServer(workers=1, data_dir=tmp_path, extra_tasks=scripted) as server, call(server) as caller:
        assert {caller.outcome(job) for job in (running, waiting)} == {"completed"}


SERVE_FOR_EVER = """
import sys, threading
from functools import partial
from pathlib import Path
from cl_client.local import LocalServer
from cl_client.local.tasks import TaskSpec
task = TaskSpec("scripted_tasks:run", "scripted_tasks:ScriptedParams", "output/result.bin")
server = LocalServer(
    workers=1, data_dir=Path(sys.argv[1]), extra_tasks={"scripted": task}, broker=sys.argv[2]
)
server.start()
print(server.base_url, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def doomed_server(tmp_path: Path, broker_choice: BrokerChoice) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-c", SERVE_FOR_EVER, str(tmp_path), broker_choice]
    folder = Path(__file__).parent
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)  # noqa: S603 - our own
    with process:
        output = cast("IO[str]", process.stdout)
        yield process, output.readline().strip()
        process.kill()


def test_nothing_accepted_is_lost_when_the_server_is_killed(
    doomed_server: tuple[subprocess.Popen[str], str],
    tmp_path: Path,
    scripted: dict[str, TaskSpec],
    call: type[Caller],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    process, base_url = doomed_server
    with call(base_url) as caller:
        jobs = [caller.submit(gate=str(tmp_path / "gate")) for _ in range(3)]
        eventually(lambda: caller.has_status(jobs[0], "processing"))
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    folders = {worker.cwd() for worker in workers if worker.name() == "mosquitto"}
    assert len(folders) == ("mosquitto" in cast("list[str]", process.args))
    process.kill()
    process.wait()
    # Its workers and its broker are nobody's children now, and have to notice by themselves.
    psutil.wait_procs(workers, timeout=SECONDS)
    assert not any(worker.is_running() for worker in workers)
    assert not any(Path(folder).exists() for folder in folders)

    (tmp_path / "gate").touch()
    with LocalServer(workers=1, data_dir=tmp_path, extra_tasks=scripted) as server, call(server) as caller:
        assert [caller.outcome(job) for job in jobs] == ["completed"] * 3


def test_a_script_that_forgets_to_stop_ends_all_the_same(run_python: Callable[[str], str]) -> None:
    script = (
        "from cl_client.local import LocalServer; s = LocalServer(workers=1); s.start(); print(s.data_dir)"
    )
    (folder,) = run_python(script).splitlines()
    assert not Path(folder).exists()


def test_bad_settings_fail_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="workers is 0; it must be at least 1"):
        LocalServer(workers=0)
    with pytest.raises(ValueError, match="poll_interval must be above 0"):
        LocalServer(poll_interval=0)
    with pytest.raises(ValueError, match="heartbeat must be above 0"):
        LocalServer(heartbeat_interval=-1)
    with pytest.raises(ValueError, match="max_upload_bytes must be above 0"):
        LocalServer(max_upload_bytes=0)


def test_unknown_tasks_are_named() -> None:
    with pytest.raises(ValueError, match="Unknown tasks: hsah; known tasks: clip_embedding, "):
        LocalServer(tasks=["hash", "hsah"])


def test_a_broker_that_is_not_there_does_not_keep_jobs_from_running(
    call: type[Caller], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = port_of(unused)
    with LocalServer(workers=1, mqtt_url=f"mqtt://127.0.0.1:{port}") as server, call(server) as caller:
        assert caller.ended(caller.submit("hash"))["status"] == "completed"
    assert f"The MQTT broker mqtt://127.0.0.1:{port} is unreachable" in caplog.text


def test_importing_the_package_is_cheap(run_python: Callable[[str], str]) -> None:
    script = (
        "import sys, cl_client.local; print(*{'fastapi', 'starlette', 'amqtt', 'uvicorn'} & set(sys.modules))"
    )
    assert run_python(script) == ""


def test_a_missing_extra_is_named(tmp_path: Path, run_python: Callable[[str], str]) -> None:
    (tmp_path / "starlette.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'starlette'\", name='starlette')"
    )
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from cl_client.local import LocalServer"
    assert "The local server needs 'starlette': pip install 'cl_client[local]'" in run_python(script)
