"""What docs/local-server.md says: its examples run, and its tables are complete."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import pytest

from cl_client.local import LocalServer
from cl_client.local.generations import DIALECTS

if TYPE_CHECKING:
    from types import CodeType

PAGE: Final = (Path(__file__).parents[2] / "docs" / "local-server.md").read_text(encoding="utf-8")
BLOCKS: Final[list[str]] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PRINTED: Final = ("completed http", "failed Input file not found: input/clip.mp4\n", "completed\n")


def table(heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading, without the heading."""
    _, _, below = PAGE.partition(f"| {heading} |")
    lines = below.splitlines()[2:]
    rows = lines[: next((at for at, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


@pytest.mark.parametrize(("block", "printed"), [*zip(BLOCKS, PRINTED, strict=True)])
async def test_the_examples(
    block: str,
    printed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    compiled = cast("object", compile(block, "local-server.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
    result = cast("object", eval(cast("CodeType", compiled), {}))  # noqa: S307 - our own page
    if inspect.isawaitable(result):
        await result
    assert capsys.readouterr().out.startswith(printed)


def test_the_table_of_generations() -> None:
    assert [row[0] for row in table("generation")] == [f"`{generation}`" for generation in DIALECTS]


def test_the_options_exist() -> None:
    known = inspect.signature(LocalServer).parameters.keys()
    cells = [row[0] for row in table("`LocalServer(...)`")]
    assert cells
    assert {name.strip("`, ") for cell in cells for name in cell.split("`, `")} <= known
