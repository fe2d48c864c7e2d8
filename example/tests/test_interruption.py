"""Ctrl-C before a command has begun, and while it ends: with a word, and without a traceback."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from cl_client.testing import StubServer, http_response

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI, StartCLI

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows cannot send SIGINT to one other process"
)

_INTERRUPTING_MODULE = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
"""
_INTERRUPTED_AT_BIRTH = """
import os, signal, sys
if "--multiprocessing-fork" in sys.argv:
    os.kill(os.getppid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
"""


async def test_an_interrupt_while_the_answer_to_a_submission_is_awaited(
    start_cli: StartCLI, work_folder: Path, temp_folder: Path
) -> None:
    (work_folder / "a.txt").write_text("a")
    server = StubServer(http_response("404 Not Found", '{"detail": "Not Found"}'), None)  # it shares nothing
    async with server.running() as client:
        command = ("hash", "compute", "a.txt", "--server", client.config.base_url, "--mqtt", "off")
        with start_cli(*command) as process:
            assert process.stderr is not None
            await server.received(2)
            assert [*temp_folder.glob("cl-client-*")]
            process.send_signal(signal.SIGINT)
            said = await asyncio.to_thread(process.stderr.readline)
            assert said == "Finishing requests in progress; press Ctrl-C again to stop immediately ...\n"
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait) == 130
    assert not [*temp_folder.glob("cl-client-*")]  # where standard input would have been


@pytest.mark.parametrize("module", ["cyclopts", "cl_client", "sqlite3"])
def test_an_interrupt_while_a_command_is_imported(
    run_cli_process: RunCLI, work_folder: Path, cli_environment: dict[str, str], module: str
) -> None:
    (work_folder / f"{module}.py").write_text(_INTERRUPTING_MODULE)
    (work_folder / "a.txt").write_text("a")
    cli_environment["PYTHONPATH"] = str(work_folder)
    shown = run_cli_process("hash", "compute", "a.txt")
    assert (shown.returncode, shown.stdout, shown.stderr) == (130, "", "cl-client: interrupted.\n")


def test_an_interrupt_while_a_batch_starts(
    run_cli_process: RunCLI, work_folder: Path, temp_folder: Path, cli_environment: dict[str, str]
) -> None:
    (work_folder / "a.txt").write_text("a")
    (temp_folder / "sitecustomize.py").write_text(_INTERRUPTED_AT_BIRTH)
    cli_environment["PYTHONPATH"] = str(temp_folder)
    shown = run_cli_process(
        "batch", "submit", "a.txt", "-t", "hash", "-d", "out", "--server", "http://127.0.0.1:9"
    )
    assert shown.returncode == 130, shown.stderr
    assert "Traceback" not in shown.stderr
    assert "interrupted. To resume: cl-client batch resume out" in shown.stderr
