"""The steps in which INTERNALS.md adds a plugin, taken in a copy of the library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cl_client
from cl_client import plugins
from cl_client._client.plugin_clients import PluginClients
from patience import SECONDS

INTERNALS = Path(__file__).parents[2] / "INTERNALS.md"
PACKAGE = Path(cl_client.__file__).parent


def _steps() -> list[str]:
    section = INTERNALS.read_text(encoding="utf-8").split("## Adding a plugin\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def _insert(file: Path, before: str, text: str) -> None:
    content = file.read_text(encoding="utf-8")
    assert content.count(before) == 1
    file.write_text(content.replace(before, text + before), encoding="utf-8")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with a copy of the library to which a plugin was added."""
    client, property_, row, task, test = _steps()
    copy = tmp_path / "src" / "cl_client"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "plugins" / "sharpen.py").write_text(client)
    clients = copy / Path(sys.modules[PluginClients.__module__].__file__ or "").relative_to(PACKAGE)
    _insert(clients, "    @property\n    def clip_embedding", f"{property_}\n")
    _insert(
        clients,
        "    from cl_client._transfers.progress import",
        "    from cl_client.plugins.sharpen import SharpenClient\n",
    )
    _insert(copy / "plugins" / "table.py", '    "clip_embedding": PluginSpec', row)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "sharpen_task.py").write_text(task)
    (tmp_path / "tests" / "test_sharpen.py").write_text(test)
    return tmp_path


def test_the_steps_lead_to_a_plugin_that_works(library: Path) -> None:
    folders = (str(library / "src"), str(library / "tests"), os.environ.get("PYTHONPATH"))
    tested = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "tests/test_sharpen.py",
            "-q",
            "-o",
            "asyncio_mode=auto",
            "-p",
            "no:cacheprovider",
        ],
        cwd=library,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr


@pytest.mark.parametrize("task", plugins.PLUGINS)
def test_a_plugin_has_tests_of_its_own(task: str) -> None:
    assert Path(__file__).with_name(f"test_{task}.py").is_file()


def test_no_other_place_names_the_plugins_one_by_one() -> None:
    """Beside the table, the property and the plugin's own file; the local server's tasks and words apart."""
    task = re.compile(r"\bmedia_thumbnail\b")
    named = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if "local" not in file.parts and task.search(file.read_text(encoding="utf-8"))
    }
    clients = Path(sys.modules[PluginClients.__module__].__file__ or "").relative_to(PACKAGE)
    assert named <= {
        str(clients),
        "plugins/__init__.py",  # for type checkers alone
        "plugins/table.py",
        "plugins/media_thumbnail.py",
    }
