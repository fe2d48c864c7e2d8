"""Metadata read by ExifTool (https://exiftool.org), which supports almost every image and video format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from pydantic import TypeAdapter

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.metadata.exiftool_process import (
    AnswerTooLargeError,
    ExifToolEndedError,
    KeptExifTool,
)
from cl_client.models import JSONObject

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT_S: Final = 60
"""Far more than ExifTool needs, even for a long video on a slow disk."""
_OPTIONS: Final = (
    *("-json", "-n", "-G"),
    *("-charset", "filename=UTF8"),
    # Without it, versions before 12.88 stop reading at 2 GiB of video, and its metadata usually come last.
    *("-api", "LargeFileSupport=1"),
)
_TEXT_TAGS: Final = (":Make", ":Model", ":Software")
_SERVER_KEYS: Final = frozenset({"SourceFile", "File:Directory"})
"""The file's location on the server, which clients must not see."""

_OUTPUT = TypeAdapter(list[JSONObject])
_kept = KeptExifTool(_OPTIONS)


class _WrittenNumber(float):
    """A number with its original text."""

    text: str = ""


def read_with_exiftool(file: Path, exiftool: str) -> JSONObject:
    """Read all metadata of a file.

    Args:
        file: The file.
        exiftool: Path of the program.

    Returns:
        Keys with ExifTool's group prefix, for instance ``EXIF:Make``; numeric values as numbers. With
        ``ExifTool:Error`` if it does not support the file.

    Raises:
        TaskFailedError: ExifTool cannot be run.
    """
    raw = _parsed(_output_of(exiftool, file), file)
    return {key: value for key, value in raw.items() if key not in _SERVER_KEYS}


def _output_of(exiftool: str, file: Path) -> bytes:
    place = file.absolute()
    if file.name.rstrip().endswith("|"):  # before version 12.38, ExifTool runs such a name as a command
        raise TaskFailedError(f"{file.name}: ExifTool cannot read a file with this name; rename it")
    try:
        output, errors = _kept.read(exiftool, place, _TIMEOUT_S)
    except TimeoutError as exc:
        raise TaskFailedError(f"{file.name}: ExifTool timed out after {_TIMEOUT_S} s") from exc
    except OSError as exc:
        raise TaskFailedError(f"{file.name}: ExifTool cannot be run: {exc.strerror}") from exc
    except AnswerTooLargeError as exc:
        raise TaskFailedError(f"{file.name}: ExifTool found more metadata than can be returned") from exc
    except ExifToolEndedError as exc:
        output, errors = b"", str(exc)
    if not output.strip():
        reason = errors.replace(str(place), file.name) or "it printed nothing"
        raise TaskFailedError(f"{file.name}: ExifTool returned no metadata: {reason}")
    return output


def _parsed(output: bytes, file: Path) -> JSONObject:
    try:
        decoder = json.JSONDecoder(parse_float=_written_number, object_pairs_hook=_keep_texts)
        content = cast("object", decoder.decode(output.decode()))
        return _OUTPUT.validate_python(content)[0]
    except (ValueError, IndexError) as exc:
        raise TaskFailedError(f"{file.name}: ExifTool returned invalid JSON: {exc}") from exc


def _written_number(text: str) -> _WrittenNumber:
    number = _WrittenNumber(text)
    number.text = text
    return number


def _keep_texts(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Keep the text of some tags: ExifTool does not quote numbers, but the firmware "1.10" is not 1.1."""
    return {
        key: value.text if isinstance(value, _WrittenNumber) and key.endswith(_TEXT_TAGS) else value
        for key, value in pairs
    }
