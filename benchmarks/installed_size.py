"""The installed size of the command line with all that it needs, which is also that of ``cl_client[local]``.

    uv run python benchmarks/installed_size.py

prints the size of each package in this environment. Files that are compiled on first use do not count.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_ROOT = "cl-client-cli"
_MB = 1e6
_LARGEST = 4
_CHECKOUT = Path(__file__).parents[1]
# What is installed in an editable way has its files here.
_SOURCES = {"cl-client": _CHECKOUT / "src", _ROOT: _CHECKOUT / "example" / "src"}


def _needed(name: str, extras: frozenset[str], found: dict[str, frozenset[str]]) -> None:
    """Collect a package with those that it needs, and the extras of each."""
    known = found.get(name)
    wanted = extras | (known or frozenset())
    if wanted == known:
        return
    found[name] = wanted
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*wanted, "")):
            try:
                _needed(canonicalize_name(requirement.name), frozenset(requirement.extras), found)
            except PackageNotFoundError:
                continue  # its marker names another extra as well


def _megabytes(package: Distribution, name: str) -> float:
    if name in _SOURCES:
        paths = [path for path in _SOURCES[name].rglob("*") if path.is_file()]
    else:
        paths = [Path(str(file.locate())) for file in package.files or []]
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.exists()) / _MB


def sizes() -> dict[str, float]:
    """Measure the packages.

    Returns:
        Their sizes in MB, the largest first.
    """
    found: dict[str, frozenset[str]] = {}
    _needed(_ROOT, frozenset(), found)
    measured = {name: _megabytes(distribution(name), name) for name in found}
    return dict(sorted(measured.items(), key=lambda package: -package[1]))


def measure(*, quick: bool) -> list[Figure]:  # noqa: ARG001 - as of all benchmarks
    """Measure all figures of this file.

    Args:
        quick: Changes nothing here.

    Returns:
        The figures.
    """
    measured = sizes()
    largest = {name: f"{size:.0f} MB" for name, size in list(measured.items())[:_LARGEST]}
    total = sum(measured.values())
    return [
        Figure(
            "installed size of the command line and the local server", total, "MB", 450, details={**largest}
        )
    ]


def main() -> None:
    """Print the size of each package."""
    measured = sizes()
    table = Table("package", "MB")
    for name, size in measured.items():
        table.add_row(name, f"{size:.1f}")
    table.add_row("all", f"{sum(measured.values()):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
