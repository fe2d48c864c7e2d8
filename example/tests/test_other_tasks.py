"""`cl-client task run` and `cl-client server --tasks`, with a package that brings tasks of its own."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from cl_client.local import LocalServer, TaskSpec
from command_lines import json_objects, rest_of, said_until
from installed_packages import write_distribution

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI, StartCLI

MODULE = """
from cl_client.models import TaskOutput, TaskParams
from cl_client.plugins.base import BasePluginClient
from cl_client.plugins.file_result import FileResultClient
from cl_client.local.tasks import TaskSpec
from pydantic import Field

class RepeatParams(TaskParams):
    times: int = Field(default=1, ge=1, le=9)

class RepeatOutput(TaskOutput):
    size: int

class RepeatClient(FileResultClient[RepeatOutput, RepeatParams]):
    task_type = "repeat"
    result_extension = ".bin"

class CountClient(BasePluginClient[RepeatOutput, RepeatParams]):
    task_type = "count"

def run(context):
    content = context.input_file.read_bytes() * context.params.times
    context.output_file.write_bytes(content)
    if b"odd" in content:
        context.warn("it is odd")
    return {"size": len(content)}

REPEAT = TaskSpec("repeating:run", "repeating:RepeatParams", "output/repeated.bin")
"""
TASKS = "\n".join(f"{task} = repeating:REPEAT" for task in ("repeat", "count", "bare"))
PLUGINS = "repeat = repeating:RepeatClient\ncount = repeating:CountClient"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, cli_environment: dict[str, str], work_folder: Path) -> Path:
    """Three tasks: one whose result is a file, one whose result is its output, one without a plugin."""
    folder = tmp_path / "packages"
    write_distribution(folder, "repeater", {"cl_client.tasks": TASKS, "cl_client.plugins": PLUGINS})
    (folder / "repeating.py").write_text(MODULE)
    cli_environment["PYTHONPATH"] = str(folder)
    (work_folder / "a.txt").write_text("ab")
    (work_folder / "b.txt").write_text("odd")
    return folder


def test_a_task_whose_result_is_a_file(run_cli_process: RunCLI, work_folder: Path) -> None:
    shown = run_cli_process("task", "run", "repeat", "a.txt", "b.txt", "--param", "times=3", "--local")
    assert (shown.returncode, sorted(shown.stdout.splitlines())) == (
        0,
        ["a.txt: size 6 -> a.repeat.bin", "b.txt: size 9 -> b.repeat.bin"],
    )
    assert (work_folder / "a.repeat.bin").read_text() == "ababab"
    assert "warning: b.txt: it is odd" in shown.stderr
    assert "2 of 2 succeeded, 2 read in place by the server, 1 with warnings" in shown.stderr
    again = run_cli_process("task", "run", "repeat", "a.txt", "--param", "times=3", "--local")
    assert (again.returncode, again.stdout) == (0, "")
    assert "1 already up to date" in again.stderr
    listed = run_cli_process("jobs", "list", "--task", "repeat", "--no-refresh", "--all", "--json")
    assert {str(row["task"]) for row in json_objects(listed)} == {"repeat"}


@pytest.mark.parametrize(("task", "params"), [("count", ()), ("bare", ("--param", "times=1"))])
def test_a_task_whose_result_is_its_output(
    run_cli_process: RunCLI, work_folder: Path, task: str, params: tuple[str, ...]
) -> None:
    shown = run_cli_process("task", "run", task, "a.txt", *params, "--local", "-q")
    assert (shown.returncode, shown.stdout) == (0, '{\n  "size": 2\n}\n')
    told = run_cli_process("task", "run", task, "b.txt", *params, "--local", "--json", "-d", "out")
    (entry,) = json_objects(told)
    assert (entry["output"], entry["files"]) == (
        {"size": 3, "warnings": ["it is odd"]},
        [f"out/b.{task}.json"],
    )
    assert (work_folder / "out" / f"b.{task}.json").read_text() == '{\n  "size": 3\n}\n'
    assert [path.name for path in (work_folder / "out").iterdir()] == [f"b.{task}.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("repeat a.txt --param times=12", 2, "--param times=12: must be at most 9"),
        ("repeat a.txt --param often=2", 2, "--param often=2: unknown parameter"),
        ("repeat a.txt --param times", 2, "--param times: must be NAME=VALUE, such as strength=3"),
        ("repeat a.txt --param times=1 --param times=2", 2, "--param times=2: times is given twice"),
        ("a.txt repeat", 2, "a.txt: not the name of a task, such as media_thumbnail"),
        ("hash a.txt --param algorithm=crc", 2, "--param algorithm=crc: must be 'sha512' or 'md5'"),
        ("repaet a.txt", 1, "Unknown task 'repaet'; known tasks are: "),
        ("bare a.txt --param times=12", 1, "times"),  # the server's own words
    ],
)
def test_what_is_wrong(run_cli_process: RunCLI, arguments: str, code: int, words: str) -> None:
    shown = run_cli_process("task", "run", *arguments.split(), "--local")
    assert (shown.returncode, shown.stdout) == (code, "")
    assert words in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_plugin_that_is_broken(run_cli_process: RunCLI, package: Path) -> None:
    write_distribution(package, "bad", {"cl_client.plugins": "bad = no_such_module:Client"})
    shown = run_cli_process("task", "run", "bad", "a.txt", "--local")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "The plugin 'bad' of bad (no_such_module:Client) cannot be loaded" in shown.stderr


def test_the_file_of_a_task_without_a_plugin(
    run_cli_process: RunCLI, work_folder: Path, package: Path, cli_environment: dict[str, str]
) -> None:
    task = {"bare": TaskSpec("repeating:run", "repeating:RepeatParams", "output/repeated.bin")}
    sys.path.insert(0, str(package))  # workers import what this process can import
    try:
        with LocalServer(workers=1, tasks=(), extra_tasks=task, third_party_tasks=False) as server:
            cli_environment["COMPUTE_SERVER_URL"] = server.base_url
            cli_environment["MQTT_BROKER_HOST"] = server.mqtt_url
            (told,) = json_objects(run_cli_process("task", "run", "bare", "a.txt", "--json"))
            saved = run_cli_process("download", told["job_id"], "-d", "files")
    finally:
        sys.path.remove(str(package))
    assert (saved.returncode, saved.stdout) == (0, "files/output/repeated.bin\n"), saved.stderr
    assert (work_folder / "files" / "output" / "repeated.bin").read_text() == "ab"


def test_a_task_of_this_library(run_cli_process: RunCLI) -> None:
    shown = run_cli_process("task", "run", "hash", "a.txt", "--param", "algorithm=md5", "--local")
    assert (shown.returncode, shown.stdout) == (0, "187ef4436122d1cc2f40dc2b92f0eba0  md5\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send this signal to one other process")
def test_the_tasks_that_a_server_is_to_offer(start_cli_process: StartCLI, package: Path) -> None:
    write_distribution(package, "bad", {"cl_client.tasks": "bad = no_such_module:TASK"})
    ports = ("--port", "0", "--mqtt-port", "0", "--workers", "1")
    for tasks, offered, warned in (
        ("hash,repeat", "Tasks      hash, repeat ", False),
        (None, "repeat", True),
    ):
        with start_cli_process("server", *ports, *(() if tasks is None else ("--tasks", tasks))) as process:
            said = said_until(process, "Ctrl-C")
            process.send_signal(signal.SIGINT)
            assert offered in rest_of(process)[0]
        assert ("The task 'bad' of bad (no_such_module:TASK) cannot be loaded" in said) == warned


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ("hash,,exif", "--tasks 'hash,,exif': must be names separated by commas, such as hash,exif"),
        ("hash,nope", "Unknown tasks: nope; known tasks: bad, bare, clip_embedding"),
        ("hash,bad", "The task 'bad' of bad (no_such_module:TASK) cannot be loaded"),
    ],
)
def test_tasks_that_a_server_cannot_offer(
    run_cli_process: RunCLI, package: Path, tasks: str, words: str
) -> None:
    write_distribution(package, "bad", {"cl_client.tasks": "bad = no_such_module:TASK"})
    shown = run_cli_process("server", "--port", "0", "--mqtt-port", "0", "--tasks", tasks)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert words in shown.stderr
