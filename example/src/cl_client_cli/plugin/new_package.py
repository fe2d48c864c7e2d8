"""The work of `cl-client plugin new`: writes a package from the template."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.command_frame import run_guarded
from cl_client_cli.frame.places import check_folder
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.plugin.sources import uv_sources
from cl_client_cli.plugin.task_names import check_task_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from cl_client_cli.frame.options import OutputOptions
    from cl_client_cli.frame.terminal import Terminal

_PROJECT_FILE: Final = "pyproject.toml"


def create_package(task: str, folder: Path | None, output: OutputOptions) -> int:
    """Create a package with a task.

    Args:
        task: The name of the task.
        folder: The folder of the package; None for one in the working folder, named after the task.
        output: How results are printed.

    Returns:
        The exit code.

    Raises:
        UsageError: The name is not valid, or the folder is not empty.
    """
    check_task_name(task)
    target = folder or Path(task.replace("_", "-"))
    check_folder("--dir", target)
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"{target}: this folder is not empty; name a new one with --dir")

    async def create(terminal: Terminal) -> int:
        names = [_write(target / path, text) for path, text in package_files(task).items()]
        steps = _next_steps(task, target)
        terminal.record({"task": task, "folder": str(target), "files": [*names], "next_steps": [*steps]})
        terminal.result(f"Created {target} with {len(names)} files.")
        terminal.say("\n".join(("Next steps:", *(f"  {step}" for step in steps))))
        return 0

    return run_guarded(output, create)


def package_files(task: str) -> Mapping[PurePosixPath, str]:
    """Make the files of a package from the template.

    Args:
        task: The name of the task.

    Returns:
        The texts by path.
    """
    names = {
        "my_task": task,
        "my-task": task.replace("_", "-"),
        "MyTask": "".join(word.capitalize() for word in task.split("_")),
        "0.0.0": version("cl_client"),
    }
    found = _texts(files("cl_client_cli.plugin") / "template", PurePosixPath())
    made = {PurePosixPath(_named(str(path), names)): _named(text, names) for path, text in found}
    made[PurePosixPath(_PROJECT_FILE)] += uv_sources()
    return made


def _texts(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield all texts of the template, without the caches that tools leave there."""
    for entry in sorted(folder.iterdir(), key=lambda it: it.name):
        if entry.name.startswith((".", "__pycache__")):
            continue
        if entry.is_dir():
            yield from _texts(entry, path / entry.name)
        else:
            yield path / entry.name, entry.read_text(encoding="utf-8")


def _named(text: str, names: Mapping[str, str]) -> str:
    for name, instead in names.items():
        text = text.replace(name, instead)
    return text


def _write(file: Path, text: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8", newline="\n") as opened:
        opened.write(text)
    return str(file)


def _next_steps(task: str, folder: Path) -> list[str]:
    return [
        f"cd {shlex.quote(str(folder))}",
        "uv sync",
        "uv run pytest",
        f"uv run cl-client task run {task} YOUR_PHOTO.jpg --param strength=3 --local",
    ]
