"""What a completed job warns of, and what a conversion has dropped: on the screen, as JSON, in the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from cl_client.local import LocalServer
from cl_client.local.tasks import TASKS
from command_lines import json_objects

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from command_lines import RunCLI

TASKS_WITH_NOTES = {
    "hash": replace(TASKS["hash"], function="noting_tasks:hash_with_warnings"),
    "image_conversion": replace(TASKS["image_conversion"], function="noting_tasks:convert_with_losses"),
}
WARNING = "warning: bad.txt: the last part is missing"


@pytest.fixture(scope="module")
def noting_server() -> Generator[LocalServer]:
    with LocalServer(workers=1, tasks=(), extra_tasks=TASKS_WITH_NOTES) as server:
        yield server


@pytest.fixture(autouse=True)
def files(noting_server: LocalServer, cli_environment: dict[str, str], work_folder: Path) -> None:
    cli_environment["COMPUTE_SERVER_URL"] = noting_server.base_url
    cli_environment["MQTT_BROKER_HOST"] = noting_server.mqtt_url
    (work_folder / "bad.txt").write_text("bad\nthe last part is missing\nan escape \x1b[31m sequence")
    (work_folder / "good.txt").write_text("good\n")
    Image.new("RGB", (8, 8)).save(work_folder / "a.png")


def test_on_the_screen(run_cli: RunCLI) -> None:
    done = run_cli("hash", "compute", "bad.txt", "good.txt")
    assert done.returncode == 0
    assert done.stdout.count("sha512") == 2
    assert [line for line in done.stderr.splitlines() if "bad.txt" in line] == [
        WARNING,
        "warning: bad.txt: an escape [31m sequence",
    ]
    assert "2 of 2 succeeded, 1 with warnings" in done.stderr
    alone = run_cli("hash", "compute", "bad.txt", "-q")
    assert (alone.returncode, alone.stderr) == (0, "")


def test_the_same_note_of_many_files_is_counted(run_cli: RunCLI, work_folder: Path) -> None:
    for number in range(14):
        (work_folder / f"bad{number:02}.txt").write_text(f"{number}\nthe last part is missing")
    done = run_cli("hash", "compute", "*bad*.txt")
    assert done.stderr.count("the last part is missing") == 11
    assert "warning: 5 more files: the last part is missing\n" in done.stderr
    assert "15 of 15 succeeded, 15 with warnings" in done.stderr
    batch = run_cli("batch", "submit", "*bad??.txt", "-t", "hash", "-d", "out")
    assert "warning: 4 more files: the last part is missing\n" in batch.stderr


def test_as_json(run_cli: RunCLI) -> None:
    done = run_cli("hash", "compute", "bad.txt", "good.txt", "--json")
    outputs = {line["input"]: line["output"] for line in json_objects(done)}
    noted, plain = outputs["bad.txt"], outputs["good.txt"]
    assert isinstance(noted, dict)
    assert isinstance(plain, dict)
    assert noted["warnings"] == ["the last part is missing", "an escape \x1b[31m sequence"]
    assert "warnings" not in plain
    assert WARNING in done.stderr


def test_what_a_conversion_dropped(run_cli: RunCLI) -> None:
    done = run_cli("image-conversion", "convert", "a.png", "--format", "jpg", "--json")
    assert "warning: a.png: not kept: animation, layers" in done.stderr
    (line,) = json_objects(done)
    assert isinstance(line["output"], dict)
    assert line["output"]["dropped"] == ["animation", "embedded preview", "layers"]


def test_what_no_conversion_keeps_is_no_warning(run_cli: RunCLI, work_folder: Path) -> None:
    """Nearly every photo of a camera has a preview; that would be a line for each."""
    Image.new("RGB", (8, 8)).save(work_folder / "b.gif")
    done = run_cli("image-conversion", "convert", "a.png", "b.gif", "--format", "jpg", "-d", "out")
    assert "warning: a.png: not kept: animation, layers\n" in done.stderr
    assert "b.gif" not in done.stderr
    assert "2 of 2 succeeded, 1 with warnings" in done.stderr


def test_in_a_batch_and_its_report(run_cli: RunCLI, work_folder: Path) -> None:
    (work_folder / "copy.txt").write_bytes((work_folder / "bad.txt").read_bytes())
    names = ("bad.txt", "copy.txt", "good.txt")
    done = run_cli("batch", "submit", *names, "-t", "hash", "-d", "out", "--report", "page.html")
    assert done.returncode == 0, done.stderr
    assert "3 done, 1 of them copied from files with the same content, 2 with warnings" in done.stderr
    for name in ("bad.txt", "copy.txt"):
        assert f"{name}: the last part is missing" in done.stderr
    page = (work_folder / "page.html").read_text()
    assert page.count('<dt>warning</dt><dd class="warning">the last part is missing</dd>') == 2
    again = run_cli("batch", "resume", "out")
    assert "warning" not in again.stderr


def test_of_a_job_that_is_waited_for_later(run_cli: RunCLI) -> None:
    submitted = run_cli("hash", "compute", "bad.txt", "--no-wait")
    job_id = submitted.stdout.strip()
    waited = run_cli("jobs", "wait", job_id)
    assert waited.returncode == 0
    assert f"warning: {job_id}: the last part is missing" in waited.stderr
