"""What there is no room for on a screen of 80 columns: names get shorter, and all else stays whole."""

from __future__ import annotations

import os
import re
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from rich.cells import cell_len
from rich.console import Console

from cl_client import JobResponse
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.server.announcements import DiscoveredServer
from cl_client_cli.server.discover import servers_table

if TYPE_CHECKING:
    from command_lines import RunCLI, ShownInTerminal

SERVER: Final = "http://127.0.0.1:9"
LIST: Final = ("jobs", "list", "--no-refresh", "--server", SERVER)
_CONTROLS: Final = re.compile(r"\x1b\[[?0-9]*[A-Za-z]")


def _note_job(data_folder: str, name: str) -> None:
    job = JobResponse.model_validate(
        {"job_id": "12345678-90ab", "task_type": "media_thumbnail", "status": "queued"}
    )
    with Ledger.open(Path(data_folder) / "jobs.sqlite") as ledger:
        ledger.submitted(job, server=SERVER, source=name, params={}, target=None)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_a_listed_job_stays_readable(
    shown_in_terminal: ShownInTerminal, cli_environment: dict[str, str]
) -> None:
    name = f"{'x' * 73}.jpg"
    _note_job(cli_environment["CL_CLIENT_DATA_DIR"], name)
    shown = shown_in_terminal(*LIST, COLUMNS="80", NO_COLOR="1")
    for word in ("12345678", "media_thumbnail", "queued", "just now"):
        assert word in shown
    assert shown.count("x") == name.count("x")


def test_a_list_that_is_piped_is_not_cut(run_cli: RunCLI, cli_environment: dict[str, str]) -> None:
    name = f"{'x ' * 120}.jpg"
    _note_job(cli_environment["CL_CLIENT_DATA_DIR"], name)
    assert name in run_cli(*LIST).stdout


@pytest.mark.parametrize(
    "name",
    [f"{'begin' * 20}.jpg", f"{os.fsdecode(bytes([0xE9])) * 20}.jpg", f"{'日本' * 30}.jpg", "a\nb.jpg"],
)
def test_a_row_of_a_running_job_stays_on_its_line(name: str) -> None:
    drawn = StringIO()
    console = Console(
        file=drawn, width=80, height=20, force_terminal=True, force_interactive=True, color_system=None
    )
    with JobProgress(Terminal(console, console), 1) as progress:
        progress.start(name, "media_thumbnail", "processing").upload(1, 1)
    last = [line for line in drawn.getvalue().splitlines() if "media_thumbnail" in line][-1]
    row = last.encode("utf-8", "backslashreplace").decode()
    assert cell_len(_CONTROLS.sub("", row)) <= 80
    assert f".jpg media_thumbnail {'━' * 16} 100% uploading" in row


def test_a_found_server_can_be_copied_from_the_screen() -> None:
    ports = ("http://a-quite-long-name.local:8002", "mqtt://a-quite-long-name.local:1883")
    server = DiscoveredServer(
        name="A name with many words that says where the server stands, and what it does",
        compute_url=ports[0],
        mqtt_url=ports[1],
        auth_url="http://a-quite-long-name.local:8000",
        error="the broker is down, and so is everything else that could be",
    )
    console = Console(file=StringIO(), width=80)
    with console.capture() as shown:
        console.print(servers_table([server]))
    for url in (*ports, "http://a-quite-long-name.local:8000"):
        assert url in shown.get()
