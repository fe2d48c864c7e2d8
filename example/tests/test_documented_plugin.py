"""What docs/plugins.md prints: files of a new package, and commands and examples that run as printed."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import sys
import tomllib
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import pytest
from fastapi import UploadFile
from fastapi.routing import APIRoute
from PIL import Image
from pydantic import BaseModel

from cl_client.local import LocalServer
from cl_client.plugins.table import registered
from cl_client_cli.plugin.new_package import package_files
from installed_packages import InstalledPackages, write_distribution

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from fastapi import APIRouter

    from command_lines import RunCLI

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
FILES = {
    match.group(1): match.group(2)
    for match in re.finditer(r"^`([\w./]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
}
COMMANDS = [
    line.removeprefix("uv run ")
    for block in re.finditer(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.group(1).splitlines()
    if "cl-client" in line
]
REAL_SERVER = "src/my_task/real_server.py"
P = TypeVar("P")
Q = TypeVar("Q")


def _block(language: str, text: str) -> str:
    blocks = [match.group(1) for match in re.finditer(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)]
    (found,) = [block for block in blocks if text in block]
    return found


@pytest.fixture
def photo(samples: Path, work_folder: Path) -> Path:
    shutil.copy(samples / "astronaut.jpg", work_folder / "photo.jpg")
    (work_folder / "photos" / "2024").mkdir(parents=True)
    shutil.copy(samples / "astronaut.jpg", work_folder / "photos" / "2024")
    return work_folder / "photo.jpg"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[InstalledPackages]:
    """The new package, with the module for real servers, in this process."""
    packages = InstalledPackages(tmp_path / "site", monkeypatch)
    for path, text in {**package_files("my_task"), PurePosixPath(REAL_SERVER): FILES[REAL_SERVER]}.items():
        if path.parts[0] == "src":
            file = packages.folder / path.relative_to("src")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    packages.add("my_task", _points(tomllib.loads(_block("toml", "cl_client.plugins"))))
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_task"]:
        monkeypatch.delitem(sys.modules, name)
    yield packages
    registered.cache_clear()


def _points(project: Mapping[str, object]) -> dict[str, str]:
    groups = cast("Mapping[str, Mapping[str, Mapping[str, str]]]", project["project"])["entry-points"]
    return {
        group: "\n".join(f"{name} = {value}" for name, value in points.items())
        for group, points in groups.items()
    }


def test_the_files_are_those_of_a_new_package() -> None:
    made = {str(path): text for path, text in package_files("my_task").items()}
    assert {name: made.get(name) for name in FILES if name != REAL_SERVER} == {
        name: text for name, text in FILES.items() if name != REAL_SERVER
    }
    assert _block("toml", "cl_client.plugins") in made["pyproject.toml"]
    assert set(re.findall(r"^\| `((?:src|tests)/[\w./]+)` \|", PAGE, re.MULTILINE)) <= set(made)


def test_the_commands(
    run_cli_process: RunCLI, photo: Path, work_folder: Path, cli_environment: dict[str, str]
) -> None:
    new, *others = COMMANDS
    assert run_cli_process(*shlex.split(new)[1:]).returncode == 0
    source = work_folder / "my-task" / "src"
    write_distribution(source, "my_task", _points(tomllib.loads(_block("toml", "cl_client.plugins"))))
    cli_environment["PYTHONPATH"] = str(source)
    done: list[str] = []
    for command in others:
        words = shlex.split(command)[1:]
        if words[0] == "server":
            assert words[1:] == ["--tasks", "hash,exif,my_task"]  # a test of its own runs a server
            continue
        if words[0] == "task" and "--local" not in words:
            words.append("--local")
        ended = run_cli_process(*words)
        assert ended.returncode == 0, ended.stderr
        done.append(words[0])
    assert done == ["task", "task", "task", "plugin"]
    assert photo.with_name("photo.my_task.png").is_file()
    assert (work_folder / "blurred" / "2024" / "astronaut.my_task.png").is_file()


@pytest.mark.usefixtures("installed")
def test_the_servers() -> None:
    made: list[LocalServer] = []

    def noted(**settings: object) -> None:
        made.append(LocalServer(**settings))  # pyright: ignore[reportArgumentType] - those of the page

    code = _block("python", "third_party_tasks=False").replace("from cl_client.local import LocalServer", "")
    exec(code, {"LocalServer": noted})  # noqa: S102 - our own page
    chosen, built_in = (server.settings.offered_tasks for server in made)
    assert [*chosen] == ["hash", "my_task"]
    assert "my_task" not in built_in


@pytest.mark.usefixtures("installed")
def test_the_function_alone(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photo.parent)
    exec(_block("python", "report=print"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out == "50\n{'width': 512, 'height': 512}\n"


class _Params(BaseModel):
    input_path: str
    output_path: str


class _Accepted(BaseModel):
    job_id: str


class _Module(Generic[P, Q]):
    """The base class of a real server, as far as the page uses it."""


class _Storage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resolve_path(self, job_id: str, relative_path: str = "") -> Path:
        return self.folder / job_id / relative_path

    def allocate_path(self, job_id: str, relative_path: str) -> Path:
        path = self.resolve_path(job_id, relative_path)
        path.parent.mkdir(parents=True)
        return path


class _RunsTasks(Protocol):
    task_type: str

    async def run(
        self, job_id: str, params: _Params, storage: _Storage, progress_callback: Callable[[int], None]
    ) -> BaseModel: ...


@pytest.mark.usefixtures("installed")
def test_the_module_for_real_servers(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for the classes of a real server, whose package is on no index."""
    submitted: list[_Params] = []

    async def create_job_from_upload(
        *, file: UploadFile, params_factory: Callable[[str], _Params], **_others: object
    ) -> _Accepted:
        submitted.append(params_factory(f"input/{file.filename}"))
        return _Accepted(job_id="j")

    parts = {
        "compute_module": {"ComputeModule": _Module},
        "job_creator": {"create_job_from_upload": create_job_from_upload},
        "job_repository": {"JobRepository": object},
        "job_storage": {"JobStorage": _Storage},
        "schema_job": {"BaseJobParams": _Params, "TaskOutput": BaseModel},
        "schema_job_record": {"JobCreatedResponse": _Accepted},
        "user": {"UserLike": str},
    }
    for name, members in {
        "": {},
        ".common": {},
        **{f".common.{part}": it for part, it in parts.items()},
    }.items():
        module = ModuleType(f"cl_ml_tools{name}")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    # FastAPI asks for it before it makes a route with a form; the route itself is called here without one.
    stand_in = ModuleType("python_multipart")
    vars(stand_in)["__version__"] = "1"
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    points = _points(tomllib.loads(_block("toml", "cl_ml_tools.tasks")))
    names = [points[f"cl_ml_tools.{kind}"].partition(":")[2] for kind in ("tasks", "routes")]
    task_class, create_router = (
        cast("object", getattr(import_module("my_task.real_server"), it)) for it in names
    )
    task = cast("type[_RunsTasks]", task_class)()
    storage, reported = _Storage(tmp_path), list[int]()
    (tmp_path / "j" / "input").mkdir(parents=True)
    shutil.copy(photo, tmp_path / "j" / "input")

    make = cast("Callable[[object, _Storage, Callable[[], None]], APIRouter]", create_router)
    (route,) = make(None, storage, lambda: None).routes
    assert isinstance(route, APIRoute)
    assert (route.path, route.methods) == ("/jobs/my_task", {"POST"})
    assert [field.name for field in route.dependant.body_params] == ["file", "strength", "priority"]

    async def submit_and_run() -> BaseModel:
        submit = cast("Callable[..., Awaitable[_Accepted]]", route.endpoint)
        file = UploadFile((tmp_path / "empty").open("w+b"), filename="photo.jpg")
        assert (await submit(file, strength=3)).job_id == "j"
        await file.close()
        return await task.run("j", submitted[0], storage, reported.append)

    output = asyncio.run(submit_and_run())
    assert (task.task_type, output.model_dump(), reported) == ("my_task", {"width": 512, "height": 512}, [50])
    with Image.open(tmp_path / "j" / "output" / "my_task.png") as result:
        assert result.size == (512, 512)
