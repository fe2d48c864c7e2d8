"""Finds the input files that a command's arguments name: files, patterns, folders, lists, standard input."""

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
from cl_client_cli.tasks.skip_rules import Reason, Skipped, SkipRules, check_patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from cl_client_cli.jobs.ledger import Ledger

STANDARD_INPUT: Final = "-"
STANDARD_INPUTS_NAME: Final = "stdin"
"""The file name for standard input, from which the names of its results are made."""
_LIST_MARK: Final = "@"


@dataclass(frozen=True, slots=True)
class InputSearch:
    """How to find files.

    Attributes:
        recursive: Search subfolders too.
        suffixes: The suffixes of files to take from folders, in lower case; None for all files. Files that
            are named, also by patterns, are always taken.
        ledger: The ledger of jobs. Files in a folder that are results of others there are skipped.
        say: Called with a message for each folder without suitable files, and one about what was skipped.
        temp_dir: Where standard input is saved; None if it is not supported.
        exclude: Patterns of files and folders to skip. Files that are named are always taken.
    """

    recursive: bool
    suffixes: Collection[str] | None
    ledger: Ledger
    say: Callable[[str], None]
    temp_dir: Path | None = None
    exclude: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FoundInputs:
    """The files that were found.

    Attributes:
        files: The files, each only once, in the order of the arguments.
        folders: For each argument the folder that it names, starts with, or has its file in. The paths of
            results are relative to these, so that they stay the same when files are added to a folder.
    """

    files: list[Path]
    folders: list[Path]


def find_inputs(arguments: Sequence[str], search: InputSearch) -> FoundInputs:
    """Find all input files.

    Args:
        arguments: Each one is a file; a pattern such as ``*.jpg``; a folder; ``@list.txt`` for a file with
            one of these per line; ``@-`` for such lines from standard input; or ``-`` for a file's content
            from standard input.
        search: How to find files.

    Returns:
        The files and their folders.

    Raises:
        UsageError: An argument is invalid, or no file is found. A folder may be empty if other arguments find
            files.
    """
    if not arguments:
        more = "" if search.temp_dir is None else ", or - for standard input"
        raise UsageError(
            f"no input given: name at least one file, folder, pattern{',' if more else ' or'} @list.txt{more}"
        )
    check_patterns(search.exclude)
    found: dict[Path, Path] = {}
    folders: list[Path] = []
    empty: list[str] = []
    skipped = Skipped()
    for argument in _with_lists(arguments):
        folder, files = _files_of(argument, search, skipped)
        if folder is not None:
            folders.append(folder)
        if not files:
            empty.append(_nothing_in(argument, search))
        for file in files:
            found.setdefault(real_place(file), file)
    if not found:
        words = filter(None, ("; ".join(empty) or "the list is empty: it names no file", skipped.report()))
        raise UsageError(". ".join(words))
    for words in filter(None, (*empty, skipped.report())):
        search.say(words)
    files = list(found.values())
    return FoundInputs(files, folders or [files[0].parent])


def _nothing_in(folder: str, search: InputSearch) -> str:
    if search.recursive:
        return f"{folder!r}: no suitable files in this folder or its subfolders"
    return f"{folder!r}: no suitable files in this folder; --recursive searches subfolders too"


def _with_lists(arguments: Sequence[str]) -> Iterator[str]:
    for argument in arguments:
        if not argument:
            raise UsageError(
                "an argument is empty, maybe a variable is not set; use . for the current folder"
            )
        if argument.startswith(_LIST_MARK) and not Path(argument).exists():
            yield from _listed(argument.removeprefix(_LIST_MARK))
        else:
            yield argument


def _listed(name: str) -> Iterator[str]:
    """The lines of a list, decoded like file names, without blank lines and those that start with #."""
    try:
        content = standard_input().buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
        lines = [os.fsdecode(line.strip()) for line in content.removeprefix(codecs.BOM_UTF8).splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"{_LIST_MARK}{name}: the list cannot be read: {exc}") from exc
    if any("\0" in line for line in lines):
        raise UsageError(
            f"{_LIST_MARK}{name}: the list contains NUL characters (find -print0?); use one name per line"
        )
    yield from (line for line in lines if line and not line.startswith("#"))


def _files_of(argument: str, search: InputSearch, skipped: Skipped) -> tuple[Path | None, list[Path]]:
    """An argument's folder, None for standard input, and its files."""
    path = Path(argument)
    if argument == STANDARD_INPUT:
        return None, [_kept_standard_input(search.temp_dir)]
    if path.is_dir():
        return path, _files_in(path, search, skipped)
    if path.is_file():
        return path.parent, [path]
    if path.exists():
        raise UsageError(f"{argument!r}: not a regular file; pipe its content into '-'")
    if not has_magic(argument):
        raise UsageError(f"{argument!r}: no such file or folder")
    files = files_matching(argument, SkipRules(search.exclude), skipped)
    if not files:
        words = filter(None, (f"{argument!r}: no file matches this pattern", skipped.report()))
        raise UsageError(". ".join(words))
    return fixed_folder(argument), files


def _files_in(folder: Path, search: InputSearch, skipped: Skipped) -> list[Path]:
    there: list[Path] = []

    def suits(path: Path) -> bool:
        there.append(path)
        if search.suffixes is None or path.suffix.lower() in search.suffixes:
            return True
        skipped.add(Reason.OTHER_TYPE, path.suffix.lower() or "no suffix")
        return False

    rules = SkipRules(search.exclude)
    files = files_below(folder, recursive=search.recursive, wanted=suits, rules=rules, skipped=skipped)
    kept = without_results(files, there, search.ledger)
    for _ in range(len(files) - len(kept)):
        skipped.add(Reason.RESULT)
    return kept


def _kept_standard_input(temp_dir: Path | None) -> Path:
    """Save standard input as a file, so that it can be sent again, and its type be detected."""
    if temp_dir is None:
        raise UsageError(
            "'-': standard input cannot be read again on resume; save it as a file, and name that"
        )
    if standard_input().isatty():
        raise UsageError("'-': standard input is a terminal: pipe a file into the command")
    temp_dir.mkdir(parents=True, exist_ok=True)
    kept = temp_dir / STANDARD_INPUTS_NAME
    if kept.exists():
        raise UsageError("'-': standard input can be read only once: give '-' once")
    with kept.open("xb") as file:
        shutil.copyfileobj(standard_input().buffer, file)
    return kept


def display_name(path: Path, temp_dir: Path) -> str:
    """The name of an input for people.

    Args:
        path: The input file.
        temp_dir: Where standard input is saved.

    Returns:
        The path, or ``-`` for standard input.
    """
    return STANDARD_INPUT if path.parent == temp_dir else str(path)


def content_digest(path: Path) -> str:
    """Compute the SHA-256 digest of a file's content.

    Args:
        path: The file.

    Returns:
        The digest in hexadecimal.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
