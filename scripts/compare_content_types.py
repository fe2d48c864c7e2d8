"""Compares libraries that tell MIME types by content, on the first 4 KiB of files that the tests draw.

    uv run --with filetype --with magika --with python-magic scripts/compare_content_types.py [--verbose]

Prints how many files of each kind a library gets right, the time for one file, and that of its import.
Libraries that are not installed are left out; python-magic needs libmagic of the system.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeAlias, cast

from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from cl_client._transfers.content_types import type_of_content
from drawn_kinds import ROOMS, UNKNOWN

_HEAD_BYTES: Final = 4096
_Tell: TypeAlias = Callable[[bytes], str | None]


class _Puremagic(Protocol):
    PureError: type[Exception]

    def from_string(self, content: bytes, mime: bool) -> str: ...  # noqa: FBT001 - as it is there


class _Filetype(Protocol):
    def guess_mime(self, content: bytes) -> str | None: ...


class _Libmagic(Protocol):
    def from_buffer(self, content: bytes, mime: bool) -> str: ...  # noqa: FBT001 - as it is there


class _Output(Protocol):
    mime_type: str


class _Result(Protocol):
    output: _Output


class _Model(Protocol):
    def identify_bytes(self, content: bytes) -> _Result: ...


class _Magika(Protocol):
    def Magika(self) -> _Model: ...  # noqa: N802 - a class there


def _with_puremagic(module: object) -> _Tell:
    library = cast("_Puremagic", module)

    def tell(content: bytes) -> str | None:
        try:
            return library.from_string(content, mime=True)
        except (library.PureError, ValueError):
            return None

    return tell


def _with_magika(module: object) -> _Tell:
    magika = cast("_Magika", module).Magika()
    return lambda content: magika.identify_bytes(content).output.mime_type


_LIBRARIES: Final[dict[str, Callable[[object], _Tell]]] = {
    "puremagic": _with_puremagic,
    "filetype": lambda module: cast("_Filetype", module).guess_mime,
    "magika": _with_magika,
    "magic": lambda module: lambda content: cast("_Libmagic", module).from_buffer(content, mime=True),
}


def _import_ms(module: str) -> float:
    def seconds(code: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - see the calls
        return time.perf_counter() - begin

    return 1000 * (min(seconds(f"import {module}") for _ in range(3)) - min(seconds("") for _ in range(3)))


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="also print what each gets wrong")
    verbose = cast("bool", parser.parse_args().verbose)
    installed = [name for name in _LIBRARIES if importlib.util.find_spec(name)]
    tells = {name: _LIBRARIES[name](importlib.import_module(name)) for name in installed}
    tells["cl_client"] = type_of_content
    kinds = {room: list(draw()) for room, draw in ROOMS.items()}
    table = Table("right of all", *tells)
    right, seconds = dict.fromkeys(tells, 0), dict.fromkeys(tells, 0.0)
    for room, files in kinds.items():
        cells: list[str] = []
        for name, tell in tells.items():
            begin = time.perf_counter()
            told = [(kind, tell(kind.content[:_HEAD_BYTES]) or UNKNOWN) for kind in files]
            seconds[name] += time.perf_counter() - begin
            wrong = [f"{kind.name}: {found}" for kind, found in told if found not in kind.types]
            right[name] += len(files) - len(wrong)
            cells.append(f"{len(files) - len(wrong)} of {len(files)}")
            if verbose and wrong:
                print(f"{name}, {room}: {'; '.join(wrong)}")
        table.add_row(room, *cells)
    count = sum(map(len, kinds.values()))
    table.add_row("together", *(f"{number} of {count}" for number in right.values()))
    table.add_row("us for a file", *(f"{1e6 * taken / count:,.0f}" for taken in seconds.values()))
    table.add_row("ms to import", *(f"{_import_ms(name):,.0f}" for name in installed), "")
    Console().print(table)


if __name__ == "__main__":
    main()
