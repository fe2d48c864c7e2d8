"""Commands that are forked from a warm process are what they would be in an interpreter of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import pytest

from command_lines import rest_of, said_until
from warm_commands import CAN_FORK, WarmCommands

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from command_lines import RunCLI

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="no command is forked here")

_PROBE = """
import json, multiprocessing, os, signal, sys, tempfile, threading, time

def told():
    return {
        "arguments": sys.argv,
        "line": sys.orig_argv[1:],
        "folder": os.getcwd(),
        "path": sys.path,
        "environment": {**os.environ},
        "main": __name__ + " " + __spec__.name,
        "temporary": tempfile.gettempdir(),
        "zone": time.tzname,
        "streams": [
            (it.name, it.mode, it.encoding, it.errors, it.line_buffering, it.write_through, it.isatty())
            for it in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "said": sys.stdin.read() if not sys.stdin.isatty() else "",
        "signals": {name: repr(signal.getsignal(name)) for name in signal.valid_signals()},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "threads": threading.active_count(),
        "descriptors": sorted(number for number in range(64) if is_open(number)),
        "group": os.getpgrp() == os.getpid(),
        "session": os.getsid(0) == os.getpid(),
        "controlled": os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp(),
        "mask": os.umask(0o22),
        "warnings": sys.warnoptions,
    }

def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True

def spawned(queue):
    queue.put(sys.argv)

if __name__ == "__main__":
    print(json.dumps(told()), flush=True)
    if "exit" in sys.argv:
        sys.exit(7)
    if "raise" in sys.argv:
        raise ValueError("so it is")
    if "wait" in sys.argv:
        print("waits", file=sys.stderr)
        signal.pause()
    if "batch" in sys.argv:
        context = multiprocessing.get_context("spawn")
        queue = context.SimpleQueue()
        process = context.Process(target=spawned, args=(queue,))
        process.start()
        print(queue.get())
        process.join()
        sys.exit(process.exitcode)
"""


@pytest.fixture(scope="module")
def warm_probes() -> Generator[WarmCommands]:
    probes = WarmCommands("probe")
    yield probes
    probes.close()


@pytest.fixture
def probe(work_folder: Path) -> list[str]:
    """What starts the program that tells of itself."""
    (work_folder / "probe.py").write_text(_PROBE)
    return [sys.executable, "-m", "probe"]


@pytest.mark.parametrize("words", [["a word", "\udcff"], ["exit"], ["raise"], ["batch"]])
def test_a_command_sees_and_tells_what_one_in_a_process_of_its_own_does(
    probe: list[str],
    warm_probes: WarmCommands,
    work_folder: Path,
    cli_environment: dict[str, str],
    words: list[str],
) -> None:
    cli_environment |= {"TZ": "Asia/Tokyo", "COLUMNS": "33"}
    own = subprocess.run(  # noqa: S603 - our own code
        [*probe, *words],
        cwd=work_folder,
        env=cli_environment,
        input="in\u00e9",
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    warm = warm_probes.run(words, work_folder, cli_environment, "in\u00e9")
    assert warm.returncode == own.returncode
    assert warm.stderr.splitlines()[-1:] == own.stderr.splitlines()[-1:]
    for told, expected in zip(warm.stdout.splitlines(), own.stdout.splitlines(), strict=True):
        if told.startswith("{"):
            wanted = cast("dict[str, object]", json.loads(expected))
            if "batch" in words:  # which has a socket to the process that it is given to spawn
                wanted["descriptors"] = [0, 1, 2, 3]
            assert json.loads(told) == wanted
        else:
            assert told == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_dies_of_signals(
    probe: list[str],
    warm_probes: WarmCommands,
    work_folder: Path,
    cli_environment: dict[str, str],
    number: signal.Signals,
) -> None:
    del probe
    with warm_probes.start(["wait"], work_folder, cli_environment) as command:
        said_until(command, "waits")
        assert command.poll() is None
        os.kill(command.pid, number)
        errors = rest_of(command)[1]
    assert command.returncode == -number
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)


def test_a_terminal_controls_a_command(
    probe: list[str], warm_probes: WarmCommands, work_folder: Path, cli_environment: dict[str, str]
) -> None:
    import pty  # not on Windows

    del probe
    ours, theirs = pty.openpty()
    with warm_probes.start_in_terminal([], work_folder, cli_environment, theirs, controls=True) as command:
        with os.fdopen(ours, "rb", closefd=False) as terminal:
            told = cast("dict[str, object]", json.loads(terminal.readline()))
        assert command.wait() == 0
    os.close(ours)
    os.close(theirs)
    assert (told["session"], told["controlled"]) == (True, True)
    assert [stream[-1] for stream in cast("list[list[object]]", told["streams"])] == [True] * 3


def test_what_the_interpreter_reads_at_its_start_needs_a_process(
    run_cli: RunCLI, run_cli_process: RunCLI, cli_environment: dict[str, str]
) -> None:
    cli_environment["PYTHONVERBOSE"] = "1"
    with pytest.raises(AssertionError, match="start a process of its own"):
        run_cli("--version")
    assert "import 'cl_client_cli'" in run_cli_process("--version").stderr
