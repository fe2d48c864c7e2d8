"""Options that all commands share, given before the command: they count as if they stood behind it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from command_lines import json_objects

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local import LocalServer
    from command_lines import RunCLI


@pytest.fixture
def settings(media_server: LocalServer, work_folder: Path) -> str:
    """A settings file that names the server, whose name is that of a command."""
    (work_folder / "hash.yaml").write_text(
        f"base_url: {media_server.base_url}\nmqtt_broker: {media_server.mqtt_url}\n"
    )
    return "hash.yaml"


def test_a_settings_file_before_the_command(settings: str, run_cli: RunCLI, samples: Path) -> None:
    photo = next(samples.glob("*.jpg"))
    shown = run_cli("--config", settings, "--json", "clip-embedding", "embed", photo)
    assert shown.returncode == 0, shown.stderr
    assert len(json_objects(shown)) == 1
    alike = run_cli(f"--config={settings}", "clip-embedding", "embed", photo, "--json", "--timeout", "100")
    assert [it["output"] for it in json_objects(alike)] == [it["output"] for it in json_objects(shown)]


@pytest.mark.parametrize(
    ("before", "behind", "server"),
    [
        (["--server", "http://a:1"], [], "http://a:1"),
        (["-s", "http://a:1", "--quiet"], [], "http://a:1"),
        (["-qs", "http://a:1"], [], "http://a:1"),
        (["-shttp://a:1"], [], "http://a:1"),
        (["--server", "config"], ["--server", "http://b:2"], "http://b:2"),
        (["-s", "http://a:1"], ["--server=http://b:2"], "http://b:2"),
        (["--server", "http://a:1", "-vv"], ["-v", "-s", "http://b:2"], "http://b:2"),
    ],
)
def test_the_one_behind_the_command_wins(
    before: list[str], behind: list[str], server: str, run_cli: RunCLI
) -> None:
    shown = run_cli(*before, "--json", "config", "show", *behind)
    assert shown.returncode == 0, shown.stderr
    assert [it["value"] for it in json_objects(shown) if it["name"] == "base_url"] == [server]


def test_help_lists_them_on_the_first_page_alone(run_cli: RunCLI) -> None:
    first = run_cli("--help").stdout
    for name in ("--config", "--json", "--timeout", "--server", "--profile", "--ca-file"):
        assert name in first
    assert "before or after the command" in " ".join(first.split())
    assert "--timeout" not in run_cli("health", "--help").stdout
    assert run_cli("--config", "x.yaml", "--help").stdout == first
    page = run_cli("--json", "health", "--help")
    assert (page.returncode, "Show the server's status" in page.stdout) == (0, True)
    assert run_cli("--json", "--version").stdout == run_cli("--version").stdout


@pytest.mark.parametrize("command", ["health --server", "--server", "--quiet --server"])
def test_only_the_command_that_is_used_is_imported(command: str) -> None:
    code = (
        "import sys; from cl_client_cli.main import main\n"
        "try: main()\nexcept SystemExit: print('loaded:', *sys.modules)"
    )
    words = [*command.split(), "http://127.0.0.1:9", *([] if command.startswith("health") else ["health"])]
    shown = subprocess.run(  # noqa: S603 - fixed arguments
        [sys.executable, "-c", code, *words], capture_output=True, encoding="utf-8", check=True
    )
    loaded = shown.stdout.partition("loaded:")[2].split()
    assert "cl_client_cli.server.commands" in loaded
    assert not {"cl_client_cli.tasks.commands", "cl_client_cli.jobs.commands", "PIL"} & set(loaded)
