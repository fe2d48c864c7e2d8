"""Which files a command's arguments mean: files, patterns, folders, lists, and standard input."""

from __future__ import annotations

import codecs
import hashlib
import os
import shutil
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.process_start import standard_input
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.folder_search import files_below, files_matching, fixed_folder
from cl_client_cli.tasks.known_results import without_results
from cl_client_cli.tasks.result_names import real_place

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from cl_client_cli.jobs.ledger import Ledger

STANDARD_INPUT: Final = "-"
STANDARD_INPUTS_NAME: Final = "stdin"
"""What its results are called by."""
_LIST_MARK: Final = "@"


@dataclass(frozen=True, slots=True)
class InputSearch:
    """How files are looked for.

    Attributes:
        recursive: Search subfolders too.
        suffixes: What is taken from folders, in lower case; None for every file. Named files and patterns
            are always taken.
        ledger: Knows which files in a folder were made of others there; these are left out.
        say: Is told of folders with nothing in them.
        temp_dir: Where what comes from standard input is kept; None where it is not taken.
    """

    recursive: bool
    suffixes: Collection[str] | None
    ledger: Ledger
    say: Callable[[str], None]
    temp_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class FoundInputs:
    """What was found.

    Attributes:
        files: The files, each once, in the order of the arguments.
        folders: For each argument the folder that it names, begins with, or has its file in. The places of
            results are counted from these, so that they stay the same while a folder grows.
    """

    files: list[Path]
    folders: list[Path]


def find_inputs(arguments: Sequence[str], search: InputSearch) -> FoundInputs:
    """Find all files before anything is done with the first.

    Args:
        arguments: A file; a pattern such as ``*.jpg``; a folder; ``@list.txt`` for a file with one of these
            on each line, ``@-`` for such lines from standard input; ``-`` for the file's content itself.
        search: How.

    Raises:
        UsageError: One of them cannot be, or leads to nothing; a folder may if others lead to something.
    """
    if not arguments:
        more = "" if search.temp_dir is None else ", or - for standard input"
        raise UsageError(f"name at least one file, folder, pattern{',' if more else ' or'} @list.txt{more}")
    found: dict[Path, Path] = {}
    folders: list[Path] = []
    empty: list[str] = []
    for argument in _with_lists(arguments):
        folder, files = _files_of(argument, search)
        if folder is not None:
            folders.append(folder)
        if not files:
            empty.append(_nothing_in(argument, search))
        for file in files:
            found.setdefault(real_place(file), file)
    if not found:
        raise UsageError("; ".join(empty) or "the list names no file")
    for words in empty:
        search.say(words)
    files = list(found.values())
    return FoundInputs(files, folders or [files[0].parent])


def _nothing_in(folder: str, search: InputSearch) -> str:
    if search.recursive:
        return f"{folder!r}: there is no file that suits in it or in its folders"
    return f"{folder!r}: there is no file that suits in it; --recursive looks deeper"


def _with_lists(arguments: Sequence[str]) -> Iterator[str]:
    for argument in arguments:
        if not argument:
            raise UsageError("an argument is empty, maybe a variable is not set; . is the current folder")
        if argument.startswith(_LIST_MARK) and not Path(argument).exists():
            yield from _listed(argument.removeprefix(_LIST_MARK))
        else:
            yield argument


def _listed(name: str) -> Iterator[str]:
    """The lines of a list, as the system writes names; blank ones and those that begin with # are none."""
    try:
        content = standard_input().buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
        lines = [os.fsdecode(line.strip()) for line in content.removeprefix(codecs.BOM_UTF8).splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"{_LIST_MARK}{name}: the list cannot be read: {exc}") from exc
    if any("\0" in line for line in lines):
        raise UsageError(
            f"{_LIST_MARK}{name}: a list has a name on each line, and this one has NULs (-print0?)"
        )
    yield from (line for line in lines if line and not line.startswith("#"))


def _files_of(argument: str, search: InputSearch) -> tuple[Path | None, list[Path]]:
    """An argument's folder, None for standard input, and its files."""
    path = Path(argument)
    if argument == STANDARD_INPUT:
        return None, [_kept_standard_input(search.temp_dir)]
    if path.is_dir():
        return path, _files_in(path, search)
    if path.is_file():
        return path.parent, [path]
    if path.exists():
        raise UsageError(f"{argument!r}: this is no regular file; pipe what comes out of it into '-'")
    if not has_magic(argument):
        raise UsageError(f"{argument!r}: there is no such file or folder")
    files = files_matching(argument)
    if not files:
        raise UsageError(f"{argument!r}: there is no file that this pattern fits")
    return fixed_folder(argument), files


def _files_in(folder: Path, search: InputSearch) -> list[Path]:
    there: list[Path] = []

    def suits(path: Path) -> bool:
        there.append(path)
        return search.suffixes is None or path.suffix.lower() in search.suffixes

    files = files_below(folder, recursive=search.recursive, wanted=suits)
    return without_results(files, there, search.ledger)


def _kept_standard_input(temp_dir: Path | None) -> Path:
    """Keep standard input as a file: it can be sent again then, and its kind be told by its content."""
    if temp_dir is None:
        raise UsageError("'-': standard input cannot be read again later; keep it as a file, and name that")
    if standard_input().isatty():
        raise UsageError("'-' reads a file from standard input, which is a terminal: pipe the file in")
    temp_dir.mkdir(parents=True, exist_ok=True)
    kept = temp_dir / STANDARD_INPUTS_NAME
    if kept.exists():
        raise UsageError("'-': standard input is one file: give it once")
    with kept.open("xb") as file:
        shutil.copyfileobj(standard_input().buffer, file)
    return kept


def display_name(path: Path, temp_dir: Path) -> str:
    """What an input is called for people: what came from standard input has no name of its own."""
    return STANDARD_INPUT if path.parent == temp_dir else str(path)


def content_digest(path: Path) -> str:
    """SHA-256 of a file's content, by which the same picture is known under another name.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
