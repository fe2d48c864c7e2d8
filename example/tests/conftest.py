"""Runs the command line as a user does: as a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cl_client.local import LocalServer
from cl_client.local.samples import draw_samples
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.tasks.inputs import InputSearch
from patience import SECONDS, soon
from screens import shown_by, start_python
from small_models import save_small_models
from warm_commands import CAN_FORK, WarmCommands

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cl_client.testing import FaultyServer, HeldJob
    from command_lines import RunCLI, RunningCommand, ShownInTerminal, StartCLI, StartInTerminal


_USER_FOLDERS = (
    "CL_CLIENT_CACHE_DIR",
    "CL_CLIENT_DATA_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that runs the tests in the background has them ignore SIGINT, and commands inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def media_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalServer]:
    """A server that has all nine tasks, with small models that are quick."""
    folder = tmp_path_factory.mktemp("models")
    with LocalServer(workers=2, models_dir=folder, models=save_small_models(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of several kinds, and a video."""
    folder = tmp_path_factory.mktemp("samples")
    draw_samples(folder)
    return folder


@pytest.fixture
def at_server(media_server: LocalServer, cli_environment: dict[str, str]) -> LocalServer:
    """The server, known to the commands by their environment."""
    cli_environment["COMPUTE_SERVER_URL"] = media_server.base_url
    cli_environment["MQTT_BROKER_HOST"] = media_server.mqtt_url
    return media_server


@pytest.fixture
async def held_worker(faulty_server: FaultyServer, cli_environment: dict[str, str]) -> HeldJob:
    """The job that holds the only worker of a server known to the commands: what they submit stays queued."""
    cli_environment["COMPUTE_SERVER_URL"] = faulty_server.base_url
    cli_environment["MQTT_BROKER_HOST"] = faulty_server.mqtt_url
    held = faulty_server.hold_job()
    async with faulty_server.client() as client:
        await client.hash.compute(b"x")
        await soon(held.reached())
    return held


@pytest.fixture
def temp_folder(tmp_path: Path) -> Path:
    """Where the commands make their temporary files."""
    folder = tmp_path / "temp"
    folder.mkdir()
    return folder


@pytest.fixture
def work_folder(tmp_path: Path) -> Path:
    """The folder in which the commands run."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def cli_environment(temp_folder: Path) -> dict[str, str]:
    """The environment of the commands: plain output in UTF-8, temporary files where they can be counted."""
    dropped = {"COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temp_folder))
    private = {name: str(temp_folder.parent / name) for name in _USER_FOLDERS}
    keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    return kept | temporary | private | keyring | {"PYTHONUTF8": "1"}


@pytest.fixture
def without_network() -> list[str]:
    """What a command is written behind to run where there is no network at all."""
    command = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], check=False).returncode:  # noqa: S603 - fixed
        pytest.skip("this machine takes no network away from a process")
    return command


@pytest.fixture(scope="session")
def warm_commands() -> Generator[WarmCommands | None]:
    """What commands are forked from; nothing where processes cannot be."""
    if not CAN_FORK:
        yield None
        return
    commands = WarmCommands()
    yield commands
    commands.close()


@pytest.fixture
def run_cli(
    warm_commands: WarmCommands | None,
    run_cli_process: RunCLI,
    work_folder: Path,
    cli_environment: dict[str, str],
) -> RunCLI:
    """Run a command to its end."""
    if warm_commands is None:
        return run_cli_process

    def run(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return warm_commands.run([*map(str, arguments)], work_folder, cli_environment, stdin)

    return run


@pytest.fixture
def start_cli(
    warm_commands: WarmCommands | None,
    start_cli_process: StartCLI,
    work_folder: Path,
    cli_environment: dict[str, str],
) -> StartCLI:
    """Start a command whose output can be read while it runs; what is left of it at the end is killed."""
    if warm_commands is None:
        return start_cli_process

    @contextmanager
    def start(*arguments: str) -> Generator[RunningCommand]:
        with warm_commands.start(arguments, work_folder, cli_environment) as command:
            try:
                yield command
            finally:
                command.kill()

    return start


@pytest.fixture
def start_in_terminal(
    warm_commands: WarmCommands | None, work_folder: Path, cli_environment: dict[str, str]
) -> StartInTerminal:
    """Start a command with a terminal for its streams, which controls it where that is wanted."""

    def start(
        terminal: int, *arguments: str, controls: bool = False, **environment: str
    ) -> AbstractContextManager[RunningCommand]:
        variables = cli_environment | {"TERM": "xterm-256color"} | environment
        if warm_commands is None:
            command = ["-m", "cl_client_cli", *arguments]
            return start_python(terminal, command, work_folder, variables, controls=controls)
        return warm_commands.start_in_terminal(arguments, work_folder, variables, terminal, controls=controls)

    return start


@pytest.fixture
def shown_in_terminal(start_in_terminal: StartInTerminal) -> ShownInTerminal:
    """Run a command in a terminal, and give all that it wrote there."""

    def run(*arguments: str, **environment: str) -> str:
        return shown_by(lambda terminal: start_in_terminal(terminal, *arguments, **environment))

    return run


@pytest.fixture
def run_cli_process(work_folder: Path, cli_environment: dict[str, str]) -> RunCLI:
    """Run a command to its end, in an interpreter that is started for it."""

    def run(
        *arguments: object, stdin: str = "", before: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the command under test
            [*before, sys.executable, "-m", "cl_client_cli", *map(str, arguments)],
            cwd=work_folder,
            env=cli_environment,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def start_cli_process(work_folder: Path, cli_environment: dict[str, str]) -> StartCLI:
    """Start a command as `start_cli` does, in an interpreter that is started for it."""

    @contextmanager
    def start(*arguments: str, before: Sequence[str] = ()) -> Generator[RunningCommand]:
        with subprocess.Popen(  # noqa: S603 - the command under test
            [*before, sys.executable, "-m", "cl_client_cli", *arguments],
            cwd=work_folder,
            env=cli_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return start


@pytest.fixture
def told() -> list[str]:
    """What a search of folders said."""
    return []


@pytest.fixture
def search(
    tmp_path: Path, work_folder: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> Generator[InputSearch]:
    """A search for all files in all folders, from the folder with the files."""
    monkeypatch.chdir(work_folder)
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:
        yield InputSearch(recursive=True, suffixes=None, ledger=ledger, say=told.append)
