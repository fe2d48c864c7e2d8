"""The layers of the library: a module imports what stands above it, types included, and nothing else."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import cl_client

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(cl_client.__file__).parents[1]
INTERNALS = (Path(__file__).parents[2] / "INTERNALS.md").read_text(encoding="utf-8")
MAX_FILES = 14
MAX_ROOT_FILES = 16

# From the ground up, as in INTERNALS.md. Modules of one layer may import each other, but in no circle.
LAYERS = (
    ("_errors", "_http_errors", "_core"),
    ("models", "options", "plugins.table"),
    ("_mqtt.address", "_transfers"),
    ("_config", "config"),
    ("_auth.providers",),
    ("_http", "_mqtt"),
    ("plugins",),
    ("_jobs",),
    ("mqtt_monitor", "_auth"),
    ("_client", "compute_client"),
    ("", "auth", "exceptions", "session", "local"),
    ("testing",),
)

LOCAL_LAYERS = (
    ("generations", "clock", "openapi", "web", "quiet_logging", "samples"),
    ("net",),
    ("models",),
    ("tasks",),
    ("auth",),
    ("real_faults",),
    ("settings",),
    ("jobs",),
    ("broker",),
    ("workers",),
    ("http",),
    ("", "assembly", "server_thread", "server"),
)
TASK_LAYERS = (
    ("contract", "files"),
    ("formats",),
    ("videos",),
    ("images",),
    ("media_types",),
    ("embeddings",),
    ("faces",),
    ("metadata",),
    ("conversion",),
    ("hls",),
    ("hashing",),
    ("", "third_party", "media_thumbnail", "job_hook", "real_failures"),
)
HOUSES = [
    ("cl_client", LAYERS),
    ("cl_client.local", LOCAL_LAYERS),
    ("cl_client.local.tasks", TASK_LAYERS),
]


def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in (SOURCE / "cl_client").rglob("*.py"):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imported(module: str, path: Path) -> Iterator[str]:
    """What a module names in imports, wherever they stand; a name imported from a package may be a module."""
    assert "import ." not in path.read_text(encoding="utf-8"), f"{module}: imports are absolute here"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph() -> dict[str, set[str]]:
    known = modules()

    def module_of(name: str) -> str | None:
        while name and name not in known:
            name = name.rpartition(".")[0]
        return name or None

    found: dict[str, set[str]] = {}
    for module, path in known.items():
        targets = {module_of(name) for name in imported(module, path)}
        # The package itself has the version, beside names that resolve when they are used.
        found[module] = {name for name in targets if name not in {None, module, "cl_client"} and name}
    return found


def layer_of(module: str, house: str, layers: tuple[tuple[str, ...], ...]) -> int:
    inner = module.removeprefix(house).removeprefix(".")
    while True:
        for level, names in enumerate(layers):
            if inner in names:
                return level
        assert inner, f"{module} stands in no layer"
        inner = inner.rpartition(".")[0]


@pytest.mark.parametrize(("house", "layers"), HOUSES)
def test_imports_follow_the_layers(house: str, layers: tuple[tuple[str, ...], ...]) -> None:
    inside = {module for module in modules() if f"{module}.".startswith(f"{house}.")}
    against = {
        f"{module} -> {target}"
        for module, targets in graph().items()
        for target in targets
        if {module, target} <= inside
        if layer_of(target, house, layers) > layer_of(module, house, layers)
    }
    assert not against


def test_there_is_no_circle_of_imports() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as exc:
        raise AssertionError(" -> ".join(cast("list[str]", exc.args[1]))) from None


def test_no_room_is_crowded() -> None:
    rooms: dict[Path, int] = {}
    for path in modules().values():
        if path.name != "__init__.py":
            rooms[path.parent] = rooms.get(path.parent, 0) + 1
    root = SOURCE / "cl_client"
    crowded = {
        str(room.relative_to(root)): count
        for room, count in rooms.items()
        if count > (MAX_ROOT_FILES if room == root else MAX_FILES)
    }
    assert not crowded


@pytest.mark.parametrize(
    ("title", "folder"),
    [("The house", ""), ("The local server", "local"), ("Tasks and their files", "local/tasks")],
)
def test_internals_names_the_rooms_that_exist(title: str, folder: str) -> None:
    rooms = {path.parent.name for path in (SOURCE / "cl_client" / folder).glob("*/__init__.py")}
    assert sorted(found(r"^\| `(\w+)/`", section(title))) == sorted(rooms)


def test_internals_names_the_layers_in_order() -> None:
    lines = found(r"^\d+\. (.*)", section("The house"))
    assert [found("`(.*?)`", line) for line in lines] == [
        [name or "__init__" for name in names] for names in LAYERS
    ]


def section(title: str) -> str:
    return INTERNALS.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def found(pattern: str, text: str) -> list[str]:
    return re.findall(pattern, text, re.MULTILINE)
