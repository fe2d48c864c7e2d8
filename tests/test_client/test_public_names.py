"""What is public, and that the command line gets along with it."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cl_client.local
from cl_client.plugins.table import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND_LINE = Path(__file__).parents[2] / "example" / "src"
# Where every name without an underscore is public.
OPEN_MODULES = {
    "cl_client.exceptions",
    "cl_client.options",
    "cl_client.plugins",
    "cl_client.plugins.base",
    "cl_client.plugins.embedding",
    "cl_client.plugins.file_result",
    *(spec.module for spec in PLUGINS.values()),
}


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """The names that the modules of a folder import from this library, each after its module's."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cl_client":
                yield from ((node.module or "", alias.name) for alias in node.names)


def is_public(module: str, name: str) -> bool:
    if module in OPEN_MODULES:
        return not name.startswith("_")
    return name in cast("list[str]", getattr(import_module(module), "__all__", []))


def test_the_command_line_uses_public_names_alone() -> None:
    names = set(imported(COMMAND_LINE))
    assert len(names) > 20
    assert not {pair for pair in names if not is_public(*pair)}


def test_all_names_of_the_local_server_resolve() -> None:
    for name in cl_client.local.__all__:
        assert getattr(cl_client.local, name) is not None
