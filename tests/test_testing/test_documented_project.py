"""The project in docs/testing.md runs as printed, outside of this repository."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from cl_client.testing import SessionReplay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cl_client.testing import FaultyServer

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
FILES: list[tuple[str, str]] = re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_project_passes_its_tests(tmp_path: Path) -> None:
    for name, content in FILES:
        (tmp_path / name).write_text(content)
    assert {name for name, _ in FILES} == {
        "fingerprints.py",
        "conftest.py",
        "pytest.ini",
        "test_fingerprints.py",
    }
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "--server-url", "http://shop"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - pytest
    assert "8 passed" in ended.stdout, ended.stdout


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_python(block: str) -> None:
    ast.parse(block)


async def test_a_session_is_recorded_and_played(
    faulty_server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for word in ("SessionRecorder(", "SessionReplay("):
        (block,) = [block for block in BLOCKS if word in block]
        block = block.replace("http://server:8002", faulty_server.base_url)
        exec(block.replace("mqtt://server", faulty_server.mqtt_url), names)  # noqa: S102 - our own page
    for name in ("record", "test_with_what_the_server_said"):
        await cast("Callable[[], Awaitable[None]]", names[name])()
    async with SessionReplay(tmp_path / "session.json") as replay:
        assert replay.unexpected == []
