"""What a real terminal shows, and how a command ends that is interrupted twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import pytest
from rich.table import Table

from cl_client_cli.frame.options import OutputOptions
from cl_client_cli.frame.terminal import Terminal
from screens import shown_by

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals and signals")

STUBBORN = """
import asyncio
import sys
from cl_client_cli.frame.interruption import run_interruptible

async def stubborn():
    try:
        print("runs", flush=True)
        await asyncio.Event().wait()
    finally:
        print("cleans up", flush=True)
        await asyncio.Event().wait()

run_interruptible(stubborn())
"""


@pytest.mark.usefixtures("at_server")
def test_results_stand_beside_the_progress(
    samples: Path, work_folder: Path, cli_environment: dict[str, str]
) -> None:
    files = [str(path) for path in samples.glob("*.jpg")]
    shown = shown_by(["hash", "compute", *files], work_folder, cli_environment)
    assert shown.count(": sha512 ") == len(files)
    assert "3 of 3 succeeded" in shown
    assert "\x1b[?25l" in shown  # a bar was drawn
    assert "\x1b[?25h" in shown  # and the cursor is back
    told = shown_by(["hash", "compute", *files, "--json"], work_folder, cli_environment)
    assert told.count('{"input"') == len(files)
    alone = shown_by(["download", "nope", "-q"], work_folder, cli_environment)
    assert "404" in alone


@pytest.mark.usefixtures("at_server")
def test_jobs_that_fail_are_counted_as_such(
    run_cli: RunCLI, work_folder: Path, cli_environment: dict[str, str]
) -> None:
    for name in ("one.jpg", "two.jpg"):
        (work_folder / name).write_bytes(b"not a picture")
    job_ids = run_cli("media-thumbnail", "generate", "one.jpg", "two.jpg", "--no-wait").stdout.split()
    shown = shown_by(["jobs", "wait", *job_ids], work_folder, cli_environment)
    assert "2 failed" in shown


@pytest.mark.usefixtures("at_server")
def test_no_colour_where_none_is_wanted(
    samples: Path, work_folder: Path, cli_environment: dict[str, str]
) -> None:
    shown = shown_by(["health"], work_folder, cli_environment | {"NO_COLOR": "1"})
    assert "healthy" in shown
    assert "\x1b[3" not in shown
    bars = shown_by(["batch", "submit", str(samples), "-t", "exif"], work_folder, cli_environment)
    assert "6 done" in bars


@pytest.mark.usefixtures("at_server")
def test_no_name_takes_control_of_the_terminal(work_folder: Path, cli_environment: dict[str, str]) -> None:
    names = ["evil\x1b]0;owned\x07\x9b2J.txt", "other.txt"]
    for name in names:
        (work_folder / name).write_text(name)
    shown = shown_by(["hash", "compute", *names, "-c", "1"], work_folder, cli_environment)
    assert "evil]0;owned2J.txt" in shown
    assert "\x1b]0;" not in shown
    assert not {"\x07", "\x9b"} & set(shown)
    told = shown_by(["hash", "compute", names[0], "--json"], work_folder, cli_environment)
    assert r"evil\u001b]0;owned\u0007\u009b2J.txt" in told


def test_words_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    words = "[/nope] [red]x :smile: \x1b[2J\u202e"
    table = Table("column")
    table.add_row(words)
    terminal = Terminal.make(OutputOptions())
    terminal.result(table, words)
    terminal.error(words)
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("[/nope] [red]x :smile: [2J") == 3
    assert "\x1b" not in shown.out + shown.err


def test_a_second_interrupt_ends_at_once() -> None:
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert cast("str", process.stdout.readline()) == "runs\n"
        process.send_signal(signal.SIGINT)
        assert cast("str", process.stdout.readline()) == "cleans up\n"
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
