"""What a real terminal shows, and how a command ends that is interrupted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import psutil
import pytest
from rich.table import Table

from cl_client_cli.frame.options import OutputOptions
from cl_client_cli.frame.terminal import Terminal
from screens import rest_of, start_python

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from command_lines import RunCLI, RunningCommand, ShownInTerminal, StartInTerminal

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

run_interruptible(stubborn(), print)
"""
DEAF = """
import asyncio
import signal
import threading
from cl_client_cli.frame.interruption import run_interruptible

async def deaf():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # so that the other thread takes it
    print("runs", flush=True)
    await asyncio.Event().wait()

try:
    run_interruptible(deaf(), print)
except KeyboardInterrupt:
    print("was interrupted", flush=True)
"""
MUTE = """
import asyncio, signal, termios
from cl_client_cli.frame.interruption import run_interruptible

async def mute():
    attributes = termios.tcgetattr(0)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, attributes)
    print("is mute", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        signal.raise_signal(signal.SIGINT)

run_interruptible(mute(), print)
"""
CTRL_C, CTRL_D = b"\x03", b"\x04"


Typed: TypeAlias = "Callable[..., AtPrompt]"


class AtPrompt(NamedTuple):
    """How a program ended that was typed to.

    Attributes:
        code: Its exit code.
        shown: What it wrote.
        echoes: Whether the terminal shows again what is typed.
    """

    code: int
    shown: str
    echoes: bool


def _typed(
    start: Callable[[int], AbstractContextManager[RunningCommand]], prompt: str, keys: bytes
) -> AtPrompt:
    """Run something in a terminal of its own, and type when it has written the prompt."""
    import pty  # not on Windows, and so alike the next one
    import termios

    ours, theirs = pty.openpty()
    written = bytearray()
    with start(theirs) as process:
        try:
            while prompt.encode() not in written:
                written += os.read(ours, 4096)
            # A signal that comes a moment before Python reads is only seen at the next key.
            while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
                threading.Event().wait(0.001)
            os.write(ours, keys)
            code = process.wait()
        finally:
            process.kill()
    echoes = bool(cast("int", termios.tcgetattr(theirs)[3]) & termios.ECHO)
    os.close(theirs)
    written += rest_of(ours)
    return AtPrompt(code, written.decode(), echoes)


@pytest.mark.usefixtures("at_server")
def test_results_stand_beside_the_progress(samples: Path, shown_in_terminal: ShownInTerminal) -> None:
    files = [str(path) for path in samples.glob("*.jpg")]
    shown = shown_in_terminal("hash", "compute", *files)
    assert shown.count(": sha512_image ") == len(files)
    assert "3 of 3 succeeded" in shown
    assert "\x1b[?25l" in shown  # a bar was drawn
    assert "\x1b[?25h" in shown  # and the cursor is back
    told = shown_in_terminal("hash", "compute", *files, "--json")
    assert told.count('{"input"') == len(files)
    alone = shown_in_terminal("download", "nope", "-q")
    assert "404" in alone


@pytest.mark.usefixtures("at_server")
def test_jobs_that_fail_are_counted_as_such(
    run_cli: RunCLI, work_folder: Path, shown_in_terminal: ShownInTerminal
) -> None:
    for name in ("one.jpg", "two.jpg"):
        (work_folder / name).write_bytes(b"not a picture")
    job_ids = run_cli("media-thumbnail", "generate", "one.jpg", "two.jpg", "--no-wait").stdout.split()
    shown = shown_in_terminal("jobs", "wait", *job_ids)
    assert "2 failed" in shown


@pytest.mark.usefixtures("at_server")
def test_no_colour_where_none_is_wanted(samples: Path, shown_in_terminal: ShownInTerminal) -> None:
    shown = shown_in_terminal("health", NO_COLOR="1")
    assert "healthy" in shown
    assert "\x1b[3" not in shown
    bars = shown_in_terminal("batch", "submit", str(samples), "-t", "exif")
    assert "6 done" in bars


@pytest.mark.usefixtures("at_server")
def test_no_name_takes_control_of_the_terminal(work_folder: Path, shown_in_terminal: ShownInTerminal) -> None:
    names = ["evil\x1b]0;owned\x07\x9b2J.txt", "other.txt"]
    for name in names:
        (work_folder / name).write_text(name)
    shown = shown_in_terminal("hash", "compute", *names, "-c", "1")
    assert "evil]0;owned2J.txt" in shown
    assert "\x1b]0;" not in shown
    assert not {"\x07", "\x9b"} & set(shown)
    told = shown_in_terminal("hash", "compute", names[0], "--json")
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


def test_a_signal_wakes_the_loop_whichever_thread_takes_it() -> None:
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", DEAF], stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout is not None
            assert cast("str", process.stdout.readline()) == "runs\n"
            process.send_signal(signal.SIGINT)
            assert cast("str", process.stdout.readline()) == "was interrupted\n"
        finally:
            process.kill()


LOGIN = ["login", "--auth-url", "http://127.0.0.1:9"]
CLEANUP = ["admin", "cleanup", "--server", "http://127.0.0.1:9"]


@pytest.fixture
def typed(start_in_terminal: StartInTerminal) -> Typed:
    """Types to a command."""

    def run(arguments: list[str], prompt: str, keys: bytes, **environment: str) -> AtPrompt:
        return _typed(
            lambda terminal: start_in_terminal(terminal, *arguments, controls=True, **environment),
            prompt,
            keys,
        )

    return run


@pytest.mark.parametrize(
    ("arguments", "prompt"),
    [
        (LOGIN, "User name"),
        ([*LOGIN, "me"], "Password of me at http://127.0.0.1:9"),
        (CLEANUP, "older than 7 days on http://127.0.0.1:9?"),
    ],
)
def test_ctrl_c_ends_a_question(arguments: list[str], prompt: str, typed: Typed) -> None:
    asked = typed(arguments, prompt, CTRL_C)
    assert (asked.code, asked.echoes) == (130, True)
    assert asked.shown.splitlines()[-1].endswith("cl-client: interrupted.\x1b[0m")


def test_questions_have_answers(typed: Typed) -> None:
    ended = typed(LOGIN, "User name", CTRL_D)
    assert (ended.code, "no answer: standard input has ended" in ended.shown) == (2, True)
    nobody = typed(LOGIN, "User name", b"\n")
    assert (nobody.code, "no user name given" in nobody.shown) == (2, True)
    unwanted = typed(CLEANUP, "7 days", b"n\n")
    assert (unwanted.code, "Nothing was deleted" in unwanted.shown) == (1, True)
    wanted = typed(CLEANUP, "7 days", b"y\n", CL_CLIENT_MAX_RETRIES="0")
    assert (wanted.code, "cannot be reached" in wanted.shown) == (3, True)


def test_who_is_too_impatient_gets_the_echo_back(work_folder: Path, cli_environment: dict[str, str]) -> None:
    ended = _typed(
        lambda terminal: start_python(terminal, ["-c", MUTE], work_folder, cli_environment, controls=True),
        "is mute",
        CTRL_C,
    )
    assert (ended.code, ended.echoes) == (130, True)
