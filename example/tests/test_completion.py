"""Completion, as a shell does it with the script that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

import pytest

from cl_client_cli.batch.commands import TaskName
from cl_client_cli.tasks.table import TASKS

if TYPE_CHECKING:
    from pathlib import Path

_BASH = shutil.which("bash")
_PROMPT = b"ready> "
_SHOW = "cl-client() { for word; do printf '<%s>' \"$word\"; done; }"


def _complete(folder: Path, typed: str) -> str:
    """What a bash makes of a line with tabs in it: the words of the command, each in angle brackets."""
    import pty  # not on Windows

    assert _BASH is not None
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PS1": _PROMPT.decode(), "TERM": "dumb", "INPUTRC": os.devnull}
    with subprocess.Popen(  # noqa: S603 - the shell that completes
        [_BASH, "--norc", "--noprofile", "-i"],
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as shell:
        os.close(theirs)
        try:
            _read_to_prompt(ours)
            for line in ("source ./script", _SHOW, typed):
                os.write(ours, f"{line}\n".encode())
                shown = _read_to_prompt(ours)
        finally:
            shell.kill()
            os.close(ours)
    return shown.replace("\r", "").rstrip().splitlines()[-2 if shown.endswith("\n") else -1]


@cache
def _script(shell: Literal["bash", "zsh"]) -> str:
    # In a process of its own, as it gives the commands, which all tests of this one share, other help texts.
    code = f"from cl_client_cli.main import make_app; print(make_app().generate_completion(shell={shell!r}))"
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    ).stdout


def _read_to_prompt(terminal: int) -> str:
    shown = b""
    while not shown.endswith(_PROMPT):
        shown += os.read(terminal, 1024)
    return shown.removesuffix(_PROMPT).decode()


@pytest.mark.skipif(sys.platform == "win32" or _BASH is None, reason="needs a bash")
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("cl-client hash compute my\t", "<hash><compute><my photo.jpg>"),
        ("cl-client similar my\ta fol\t", "<similar><my photo.jpg><a><folder/>"),
        ("cl-client batch submit fol\t -t med\t", "<batch><submit><folder/><-t><media-thumbnail>"),
        ("cl-client --jso\t hash comp\t my\t", "<--json><hash><compute><my photo.jpg>"),
        ("cl-client --config my\t hash comp\t", "<--config><my photo.jpg><hash><compute>"),
        ("cl-client --config=x -q hash comp\t", "<--config=x><-q><hash><compute>"),
        ("cl-client exif extract x.jpg -d fol\t", "<exif><extract><x.jpg><-d><folder/>"),
    ],
)
def test_bash_completes_files_and_tasks(tmp_path: Path, typed: str, words: str) -> None:
    (tmp_path / "my photo.jpg").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "script").write_text(_script("bash"))
    assert _complete(tmp_path, typed) == words


def test_zsh_completes_files() -> None:
    """Which is asked of the script: no zsh is needed."""
    assert re.search(r"'\*:Files, patterns .*:_files'", _script("zsh"))


def test_the_tasks_that_are_completed() -> None:
    assert set(get_args(TaskName)) == {task.replace("_", "-") for task in TASKS}
