"""Which files a command's arguments mean: files, patterns, folders, lists, and standard input."""

from __future__ import annotations

import glob
import hashlib
import shutil
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.process_start import standard_input
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

STANDARD_INPUT: Final = "-"
_LIST_MARK: Final = "@"


def find_inputs(
    arguments: Sequence[str], *, recursive: bool, suffixes: Collection[str] | None, temp_dir: Path
) -> list[Path]:
    """Find all files before anything is done with the first; each once, in the order of the arguments.

    Args:
        arguments: A file; a pattern such as ``*.jpg``; a folder; ``@list.txt`` for a file with one of these
            on each line, ``@-`` for such lines from standard input; ``-`` for the file's content itself.
        recursive: Look into the folders of folders too.
        suffixes: What is taken from folders, in lower case; None for every file. Named files and patterns
            are always taken.
        temp_dir: Where what comes from standard input is kept.

    Raises:
        UsageError: One of them leads to nothing.
    """
    if not arguments:
        raise UsageError("name at least one file, folder, pattern, @list.txt, or - for standard input")
    found: dict[Path, Path] = {}
    for argument in _with_lists(arguments):
        files = list(_files_of(argument, recursive=recursive, suffixes=suffixes, temp_dir=temp_dir))
        if not files:
            raise UsageError(f"{argument!r}: there is no file that suits in it; --recursive looks deeper")
        for file in files:
            found.setdefault(file.absolute(), file)
    return list(found.values())


def _with_lists(arguments: Sequence[str]) -> Iterator[str]:
    for argument in arguments:
        if argument.startswith(_LIST_MARK) and not Path(argument).exists():
            yield from _listed(argument.removeprefix(_LIST_MARK))
        else:
            yield argument


def _listed(name: str) -> Iterator[str]:
    if name == STANDARD_INPUT:
        lines = standard_input().read().splitlines()
    else:
        try:
            lines = Path(name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageError(f"{_LIST_MARK}{name}: the list cannot be read: {exc}") from exc
    yield from (line for line in lines if line.strip())


def _files_of(
    argument: str, *, recursive: bool, suffixes: Collection[str] | None, temp_dir: Path
) -> Iterator[Path]:
    path = Path(argument)
    if argument == STANDARD_INPUT:
        yield _kept_standard_input(temp_dir)
    elif path.is_dir():
        yield from _files_below(path, recursive=recursive, suffixes=suffixes)
    elif path.is_file():
        yield path
    elif path.exists():
        raise UsageError(f"{argument!r}: this is no regular file; pipe what comes out of it into '-'")
    elif glob.has_magic(argument):
        # Not Path.glob: a pattern may be absolute, or begin with "..".
        matches = glob.glob(argument, recursive=True)  # noqa: PTH207 - see above
        yield from (path for path in map(Path, sorted(matches)) if path.is_file())
    else:
        raise UsageError(f"{argument!r}: there is no such file or folder")


def _files_below(folder: Path, *, recursive: bool, suffixes: Collection[str] | None) -> Iterator[Path]:
    for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and (suffixes is None or path.suffix.lower() in suffixes):
            yield path


def _kept_standard_input(temp_dir: Path) -> Path:
    """Keep standard input as a file: it can be sent again then, and its kind be told by its content."""
    if standard_input().isatty():
        raise UsageError("'-' reads a file from standard input, which is a terminal: pipe the file in")
    temp_dir.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=temp_dir, prefix="stdin-", delete=False) as kept:
        shutil.copyfileobj(standard_input().buffer, kept)
    return Path(kept.name)


def content_digest(path: Path) -> str:
    """SHA-256 of a file's content, by which the same picture is known under another name.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
