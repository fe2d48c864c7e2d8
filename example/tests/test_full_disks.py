"""Commands on disks that are full, become full, or may only be read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cl_client_cli.batch.manifest import BatchManifest
from command_lines import json_objects, rest_of
from small_disks import fill, make_read_only, small_disk

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from cl_client.local import LocalServer
    from cl_client.testing import HeldJob
    from command_lines import RunCLI, StartCLI


@pytest.fixture
def disk(work_folder: Path) -> Generator[Path]:
    """A small disk in the folder of the commands."""
    folder = work_folder / "disk"
    folder.mkdir()
    with small_disk(folder, "400k"):
        yield folder


async def test_a_disk_that_is_full_while_a_batch_runs(
    disk: Path,
    start_cli: StartCLI,
    held_worker: HeldJob,
) -> None:
    (disk.parent / "a.txt").write_text("a")
    with start_cli("batch", "submit", "a.txt", "-t", "hash", "-d", "disk", "--watch") as process:
        assert process.stderr is not None
        while "hash queued" not in (line := await asyncio.to_thread(process.stderr.readline)):
            assert line
        fill(disk)
        held_worker.release()
        rest = (await asyncio.to_thread(rest_of, process))[1]
    assert process.returncode == 1
    assert "batch.sqlite: cannot be used" in rest
    assert "free some space" in rest
    assert "To resume: cl-client batch resume disk" in rest
    assert "Traceback" not in rest
    (disk / "filler").unlink()
    with BatchManifest.open(disk) as manifest:
        (item,) = manifest.items()
    assert item.state == "submitted"


def test_a_batch_on_a_disk_that_takes_no_more(
    disk: Path, run_cli: RunCLI, at_server: LocalServer, samples: Path
) -> None:
    del at_server
    assert run_cli("batch", "submit", samples / "drawing.png", "-t", "hash", "-d", "disk").returncode == 0
    fill(disk)
    assert "hash" in run_cli("batch", "status", "disk").stdout
    full = run_cli("batch", "resume", "disk")
    assert full.returncode == 2
    assert "free some space" in full.stderr
    assert "move it away" not in full.stderr
    (disk / "filler").unlink()
    make_read_only(disk)
    (told,) = json_objects(run_cli("batch", "status", "disk", "--json"))
    assert (told["task"], told["done"]) == ("hash", 1)
    page = disk.parent / "page.html"
    assert run_cli("batch", "report", "disk", page).returncode == 0
    assert "drawing.png" in page.read_text()
    refused = run_cli("batch", "resume", "disk")
    assert refused.returncode == 2
    assert "check the permissions of its folder" in refused.stderr


def test_jobs_are_listed_where_nothing_may_be_written(
    disk: Path, run_cli: RunCLI, at_server: LocalServer, samples: Path, cli_environment: dict[str, str]
) -> None:
    del at_server
    cli_environment["CL_CLIENT_DATA_DIR"] = str(disk)
    job_id = run_cli("hash", "compute", samples / "drawing.png", "--no-wait").stdout.strip()
    make_read_only(disk)
    listed = run_cli("jobs", "list")
    assert (listed.returncode, job_id[:8] in listed.stdout) == (0, True)
    assert "cannot be updated" in listed.stderr


@pytest.mark.parametrize("command", [["hash", "compute"], ["image-conversion", "convert", "--format", "bmp"]])
def test_results_on_a_full_disk(
    disk: Path, run_cli: RunCLI, at_server: LocalServer, samples: Path, command: list[str]
) -> None:
    del at_server
    fill(disk)
    shown = run_cli(*command, samples / "astronaut.jpg", "-d", "disk")
    assert shown.returncode == 1
    assert "No space left on device" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert [file.name for file in disk.rglob("*")] == ["filler"]


def test_a_download_to_a_full_disk(
    disk: Path, run_cli: RunCLI, at_server: LocalServer, samples: Path
) -> None:
    del at_server
    job_id = run_cli("hash", "compute", samples / "drawing.png", "--no-wait").stdout.strip()
    assert run_cli("jobs", "wait", job_id).returncode == 0
    fill(disk)
    shown = run_cli("download", job_id, "-d", "disk")
    assert shown.returncode == 1
    assert "No space left on device" in shown.stderr
    assert [file for file in disk.rglob("*") if file.is_file()] == [disk / "filler"]
