"""Ctrl-C at a moment at which a command has not begun yet: it ends with a word, and without a traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI

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


@pytest.mark.parametrize("module", ["cyclopts", "cl_client", "sqlite3"])
def test_an_interrupt_while_a_command_is_imported(
    run_cli: RunCLI, work_folder: Path, cli_environment: dict[str, str], module: str
) -> None:
    (work_folder / f"{module}.py").write_text(_INTERRUPTING_MODULE)
    (work_folder / "a.txt").write_text("a")
    cli_environment["PYTHONPATH"] = str(work_folder)
    shown = run_cli("hash", "compute", "a.txt")
    assert (shown.returncode, shown.stdout, shown.stderr) == (130, "", "cl-client: interrupted.\n")


def test_an_interrupt_while_a_batch_starts(
    run_cli: RunCLI, work_folder: Path, temp_folder: Path, cli_environment: dict[str, str]
) -> None:
    (work_folder / "a.txt").write_text("a")
    (temp_folder / "sitecustomize.py").write_text(_INTERRUPTED_AT_BIRTH)
    cli_environment["PYTHONPATH"] = str(temp_folder)
    shown = run_cli("batch", "submit", "a.txt", "-t", "hash", "-d", "out", "--server", "http://127.0.0.1:9")
    assert shown.returncode == 130, shown.stderr
    assert "Traceback" not in shown.stderr
    assert "interrupted. To go on: cl-client batch resume out" in shown.stderr
