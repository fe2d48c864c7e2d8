"""Standard streams that the shell has closed, and readers that leave before all is written."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI, StartCLI

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only POSIX shells close streams")


def _run_with_closed(
    streams: str, folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the command under test
        ["/bin/sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-m", "cl_client_cli", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_what_is_written_to_a_closed_output_goes_nowhere(
    work_folder: Path, cli_environment: dict[str, str], streams: str
) -> None:
    shown = _run_with_closed(streams, work_folder, cli_environment, "config", "show", "--all")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert ("base_url" in shown.stdout) == (streams == "2>&-")
    refused = _run_with_closed(streams, work_folder, cli_environment, "jobs", "list", "--limit", "0")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert ("must be at least 1" in refused.stderr) == (streams == ">&-")


@pytest.mark.parametrize("argument", ["-", "@-"])
def test_a_closed_input_is_refused(work_folder: Path, cli_environment: dict[str, str], argument: str) -> None:
    refused = _run_with_closed("<&-", work_folder, cli_environment, "hash", "compute", argument)
    assert refused.returncode == 2
    assert "standard input is closed" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_pipe_with_a_name_is_refused(run_cli: RunCLI, work_folder: Path) -> None:
    os.mkfifo(work_folder / "pipe")
    refused = run_cli("hash", "compute", "pipe")
    assert refused.returncode == 2
    assert "'pipe': not a regular file; pipe its content into '-'" in refused.stderr


@pytest.mark.usefixtures("at_server")
def test_the_reader_of_a_result_may_leave(start_cli: StartCLI, samples: Path) -> None:
    command = ("media-thumbnail", "generate", str(samples / "mountains.jpg"), "-o", "-")
    with start_cli(*command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        assert (process.wait(), errors) == (0, "")
