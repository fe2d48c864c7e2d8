from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from cl_client_cli.main import make_app

if TYPE_CHECKING:
    from command_lines import RunCLI

_IMPORTS_AFTER_HELP = """
import sys
from cl_client_cli.main import make_app

arguments = sys.argv[1:]
make_app(arguments[0])(arguments, result_action="return_value")
print("loaded:", *sys.modules)
"""
_HEAVY = {
    "PIL",
    "cl_client.compute_client",
    "cl_client.local",
    "fastapi",
    "httpx",
    "paho",
    "pydantic",
    "rich.progress",
}


def test_help_lists_the_commands(run_cli: RunCLI) -> None:
    shown = run_cli("--help")
    assert shown.returncode == 0
    assert "demo" in shown.stdout
    assert "server" in shown.stdout


@pytest.mark.parametrize(
    "command", ["--help", "hash compute --help", "image-conversion convert --help", "jobs list --help"]
)
def test_help_imports_nothing_heavy(command: str) -> None:
    shown = subprocess.run(  # noqa: S603 - fixed arguments
        [sys.executable, "-c", _IMPORTS_AFTER_HELP, *command.split()],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    _, marker, loaded = shown.stdout.rpartition("loaded:")
    assert marker
    assert "cl_client_cli.main" in loaded.split()
    assert not _HEAVY & set(loaded.split())


def test_every_help_text_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    texts = 0
    for name in make_app():
        if name.startswith("-"):
            continue
        app = make_app(name)
        pages = [[name], *([name, sub] for sub in app[name] if not sub.startswith("-"))]
        for page in pages:
            app([*page, "--help"], result_action="return_value")
            shown = capsys.readouterr().out
            assert f"Example: cl-client {' '.join(page)}" in " ".join(shown.split()), page
            assert "Exit codes: 0 success" in shown
            texts += 1
    assert texts > 40


def test_version(run_cli: RunCLI) -> None:
    assert run_cli("--version").stdout.split() == ["cl-client", version("cl-client-cli")]
