"""`cl-client plugin new` and `list`: the new package passes its own tests, types and style; its task runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

import pytest

from cl_client_cli.plugin.new_package import package_files
from cl_client_cli.plugin.task_names import MAX_LETTERS
from command_lines import json_objects
from installed_packages import write_distribution
from patience import SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from command_lines import RunCLI

LONGEST = "a_b_" + "c" * (MAX_LETTERS - 2)


def _project(folder: Path) -> Mapping[str, object]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def _install(folder: Path, environment: dict[str, str]) -> None:
    """As ``pip install -e`` does, without an index: its sources, and the metadata of its entry points."""
    project = cast("Mapping[str, Mapping[str, Mapping[str, str]]]", _project(folder)["project"])
    points = {
        group: "\n".join(f"{name} = {value}" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    }
    write_distribution(folder / "src", str(project["name"]).replace("-", "_"), points)
    environment["PYTHONPATH"] = str(folder / "src")


@pytest.fixture
def package(run_cli: RunCLI, work_folder: Path, cli_environment: dict[str, str]) -> Path:
    created = run_cli("plugin", "new", "my_task")
    assert created.returncode == 0, created.stderr
    _install(work_folder / "my-task", cli_environment)
    return work_folder / "my-task"


def _run(package: Path, environment: Mapping[str, str], *arguments: str) -> str:
    ended = subprocess.run(  # noqa: S603 - tools of this project
        [sys.executable, "-m", *arguments],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    return ended.stdout + ended.stderr


def test_a_new_package_passes_its_own_tests(package: Path, cli_environment: dict[str, str]) -> None:
    assert "4 passed" in _run(
        package, cli_environment, "pytest", "-p", "no:cacheprovider", "-p", "no:randomly"
    )


@pytest.mark.parametrize("task", ["my_task", "x", LONGEST])
def test_a_new_package_is_strictly_typed_and_in_style(run_cli: RunCLI, work_folder: Path, task: str) -> None:
    for tool in ("basedpyright", "ruff"):
        pytest.importorskip(tool)  # in the group lint
    run_cli("plugin", "new", task, "--dir", "new")
    package = work_folder / "new"
    assert "All checks passed!" in _run(package, os.environ, "ruff", "check", "--no-cache")
    formatted = _run(package, os.environ, "ruff", "format", "--check", "--no-cache")
    assert "would" not in formatted, formatted
    typed = _run(package, os.environ, "basedpyright", "--pythonpath", sys.executable)
    assert typed.startswith("0 errors, 0 warnings"), typed


def test_the_task_of_a_new_package_on_the_command_line(
    package: Path, run_cli_process: RunCLI, samples: Path, work_folder: Path
) -> None:
    shutil.copy(samples / "astronaut.jpg", work_folder)
    shown = run_cli_process("task", "run", "my_task", "astronaut.jpg", "--param", "strength=3", "--local")
    assert (shown.returncode, shown.stdout) == (
        0,
        "astronaut.jpg: width 512, height 512 -> astronaut.my_task.png\n",
    ), shown.stderr
    assert (work_folder / "astronaut.my_task.png").read_bytes().startswith(b"\x89PNG")
    refused = run_cli_process("task", "run", "my_task", "astronaut.jpg", "--param", "strength=51", "--local")
    assert (refused.returncode, refused.stderr) == (
        2,
        "cl-client: --param strength=51: must be at most 50\n",
    )
    assert package.is_dir()


def test_what_is_said_of_a_new_package(run_cli: RunCLI, work_folder: Path) -> None:
    created = run_cli("plugin", "new", "my_task")
    assert (created.returncode, created.stdout) == (0, "Created my-task with 9 files.\n")
    assert created.stderr.splitlines() == [
        "Next steps:",
        "  cd my-task",
        "  uv sync",
        "  uv run pytest",
        "  uv run cl-client task run my_task YOUR_PHOTO.jpg --param strength=3 --local",
    ]
    (told,) = json_objects(run_cli("plugin", "new", "other_task", "--dir", "a folder/below", "--json"))
    assert (told["task"], told["folder"]) == ("other_task", "a folder/below")
    assert cast("list[str]", told["next_steps"])[0] == "cd 'a folder/below'"
    files = sorted(path for path in (work_folder / "a folder").rglob("*") if path.is_file())
    assert files == sorted(work_folder / file for file in cast("list[str]", told["files"]))


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ({"url": "file:///a%20b/cl", "dir_info": {"editable": True}}, 'path = "/a b/cl", editable = true'),
        ({"url": "file:///cl", "dir_info": {}}, 'path = "/cl"'),
        ({"url": "file:///cl.whl", "archive_info": {}}, 'path = "/cl.whl"'),
        ({"url": "https://host/cl.whl", "archive_info": {}}, 'url = "https://host/cl.whl"'),
        (
            {"url": "https://host/cl", "vcs_info": {"vcs": "git", "commit_id": "f00"}, "subdirectory": "sub"},
            'git = "https://host/cl", rev = "f00", subdirectory = "sub"',
        ),
        ({"url": "https://host/cl", "vcs_info": {"vcs": "hg", "commit_id": "f00"}}, None),
        (None, None),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of this kind are not absolute there")
def test_where_cl_client_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, source: str | None
) -> None:
    for name in ("cl_client", "cl_client_cli"):
        write_distribution(tmp_path, name, {})
        if origin is not None:
            (tmp_path / f"{name}-1.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    project = package_files("x")[PurePosixPath("pyproject.toml")]
    assert '"cl_client>=1.0"' in project
    lines = project.partition("[tool.uv.sources]\n")[2].splitlines()
    expected = [] if source is None else [f"{it} = {{ {source} }}" for it in ("cl_client", "cl-client-cli")]
    assert lines == expected
    tomllib.loads(project)


def test_nothing_of_the_template_is_left_in_a_new_package() -> None:
    made = package_files("sharpen_it")
    assert set(map(str, made)) >= {"src/sharpen_it/py.typed", "tests/test_sharpen_it.py", "pyproject.toml"}
    for path, text in made.items():
        assert not re.search(r"my.?task|0\.0\.0", f"{path}\n{text}", re.IGNORECASE)


def _bounds(project: str) -> set[str]:
    return {match.group(1) for match in re.finditer(r'"([\w-]+>=[\d.]+)"', project)}


def test_the_lower_bounds_of_a_new_package_are_those_of_this_project() -> None:
    root = Path(__file__).parents[2]
    known = {
        it for folder in (root, root / "example") for it in _bounds((folder / "pyproject.toml").read_text())
    }
    bounds = _bounds(package_files("x")[PurePosixPath("pyproject.toml")])
    own = {bound for bound in bounds if bound.startswith(("cl_client", "cl-client"))}
    assert own
    assert bounds - own <= known


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MyTask", "MyTask: must be lower-case words joined by underscores, such as my_task"),
        ("my-task", "my-task: must be lower-case words joined by underscores, such as my_task"),
        ("2_fast", "2_fast: must be lower-case words joined by underscores, such as my_task"),
        ("../evil", "../evil: must be lower-case words joined by underscores, such as evil"),
        ("media_thumbnail", "this is a task of cl_client itself; choose another name"),
        ("class", "class: this is a keyword of Python; choose another name"),
        ("json", "json: a module of this name is installed already; choose another name"),
        ("cl_client", "cl_client: a module of this name is installed already; choose another name"),
        ("a" * (MAX_LETTERS + 1), f"must have at most {MAX_LETTERS} letters and digits, and has"),
    ],
)
def test_names_that_no_task_can_have(run_cli: RunCLI, work_folder: Path, name: str, words: str) -> None:
    refused = run_cli("plugin", "new", name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert words in refused.stderr
    assert not [*work_folder.iterdir()]


def test_nothing_is_overwritten(run_cli: RunCLI, work_folder: Path) -> None:
    (work_folder / "file").write_text("kept")
    (work_folder / "my-task").mkdir()
    (work_folder / "my-task" / "notes.txt").write_text("kept")
    for arguments, words in (
        ((), "my-task: this folder is not empty; name a new one with --dir"),
        (("--dir", "file"), "--dir file: file is a file, not a folder"),
    ):
        refused = run_cli("plugin", "new", "my_task", *arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert words in refused.stderr
    assert [path.name for path in (work_folder / "my-task").iterdir()] == ["notes.txt"]


def test_the_installed_tasks(run_cli_process: RunCLI, package: Path) -> None:
    listed = run_cli_process("plugin", "list")
    assert listed.returncode == 0
    assert re.findall(r"my_task +│ my_task +│ (\w+ \w+) +│ (\w+)", listed.stdout) == [
        ("client plugin", "ready"),
        ("server task", "ready"),
    ]
    points = {"cl_client.tasks": "bad = no_such_module:TASK", "cl_client.plugins": "hash = my_task.client:X"}
    write_distribution(package / "src", "bad", points)
    listed = run_cli_process("plugin", "list", "--json")
    assert listed.returncode == 1
    problems = {
        (row["task"], row["brings"]): str(row["problem"]) for row in json_objects(listed) if row["problem"]
    }
    assert problems.keys() == {("bad", "server task"), ("hash", "client plugin")}
    assert "No module named 'no_such_module'" in problems["bad", "server task"]
    assert "takes precedence: rename it" in problems["hash", "client plugin"]


def test_no_installed_tasks(run_cli: RunCLI) -> None:
    listed = run_cli("plugin", "list")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert "cl-client plugin new my_task creates one" in listed.stderr
