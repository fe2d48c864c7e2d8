"""Packages that are installed for one test: a folder with modules and the metadata of distributions."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from cl_client.plugins.table import registered

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest


def write_distribution(folder: Path, name: str, entry_points: Mapping[str, str]) -> None:
    """Write the metadata of a distribution with these entry points: their lines, by group."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = (f"[{group}]\n{points}\n" for group, points in entry_points.items())
    (info / "entry_points.txt").write_text("\n".join(groups))


class InstalledPackages:
    """What a test installs into its own process, and into the workers of servers that it starts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        registered.cache_clear()

    def add(self, name: str, entry_points: Mapping[str, str], **modules: str) -> None:
        """Install a package with these entry points, by group, and modules with this code."""
        write_distribution(self.folder, name, entry_points)
        for module, code in modules.items():
            (self.folder / f"{module}.py").write_text(code)
        importlib.invalidate_caches()
        registered.cache_clear()
