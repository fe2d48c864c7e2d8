"""Runs the benchmarks: ``uv run python benchmarks/run.py [--quick] [--json FILE] [NAME...]``.

The exit code is 1 if a target is missed. Ratios compare values of the same run; other figures depend on the
machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from figures import print_figures

if TYPE_CHECKING:
    from figures import Figure

NAMES = (
    "import_time",
    "start_time",
    "installed_size",
    "metadata",
    "task_peers",
    "job_path",
    "dispatch",
    "memory",
    "round_trip",
    "delay",
    "endings_under_load",
    "job_queues",
    "big_files",
    "small_files",
    "batch_report",
    "batch_cost",
    "many_photos",
    "embedded_brokers",
)


class _Benchmark(Protocol):
    def measure(self, *, quick: bool) -> list[Figure]: ...


class _Arguments(argparse.Namespace):
    names: list[str]
    quick: bool
    json: Path | None


def main() -> None:
    """Measure and print the figures; the exit code says whether all targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"benchmarks to run: {', '.join(NAMES)}; by default all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer turns, for rough figures")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args(namespace=_Arguments())
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"unknown benchmark: {', '.join(unknown)}; the benchmarks are {', '.join(NAMES)}")
    # With it, every process that a benchmark starts would compile its modules anew, as no user's does.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    figures: list[Figure] = []
    for name in arguments.names or NAMES:
        benchmark = cast("_Benchmark", cast("object", importlib.import_module(name)))
        figures += benchmark.measure(quick=arguments.quick)
    print_figures(figures)
    if arguments.json is not None:
        machine = {"python": platform.python_version(), "system": platform.platform()}
        result = {"machine": machine, "figures": [figure.as_json() for figure in figures]}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(any(figure.kept is False for figure in figures))


if __name__ == "__main__":
    main()
