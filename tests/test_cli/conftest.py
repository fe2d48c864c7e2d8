"""Runs the command line as a user does: as a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from subprocess import CompletedProcess, Popen
    from typing import TypeAlias

    RunCLI: TypeAlias = Callable[..., CompletedProcess[str]]
    StartCLI: TypeAlias = Callable[..., AbstractContextManager[Popen[str]]]


_COMMAND_SECONDS = 100


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that runs the tests in the background has them ignore SIGINT, and commands inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
    return kept | temporary | {"PYTHONUTF8": "1"}


@pytest.fixture
def run_cli(work_folder: Path, cli_environment: dict[str, str]) -> RunCLI:
    """Run a command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the command under test
            [sys.executable, "-m", "cl_client_cli", *arguments],
            cwd=work_folder,
            env=cli_environment,
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
    def start(*arguments: str) -> Generator[subprocess.Popen[str]]:
        with subprocess.Popen(  # noqa: S603 - the command under test
            [sys.executable, "-m", "cl_client_cli", *arguments],
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
