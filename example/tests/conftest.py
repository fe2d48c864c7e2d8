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
from small_models import save_small_models

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from command_lines import RunCLI, StartCLI


_COMMAND_SECONDS = 100
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


@pytest.fixture
def run_cli(work_folder: Path, cli_environment: dict[str, str]) -> RunCLI:
    """Run a command to its end."""

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
            timeout=_COMMAND_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def start_cli(work_folder: Path, cli_environment: dict[str, str]) -> StartCLI:
    """Start a command whose output can be read while it runs; what is left of it at the end is killed."""

    @contextmanager
    def start(*arguments: str, before: Sequence[str] = ()) -> Generator[subprocess.Popen[str]]:
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
