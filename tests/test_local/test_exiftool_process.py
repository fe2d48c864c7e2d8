"""The open ExifTool: one process for many files, whatever the files are, and whatever ends it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, BinaryIO, cast

import psutil
import pytest
from PIL import Image, PngImagePlugin
from pydantic import TypeAdapter

from cl_client.local.samples import draw_photo, draw_video
from cl_client.local.tasks.metadata.exiftool import read_with_exiftool
from cl_client.local.tasks.metadata.exiftool_process import (
    AnswerTooLargeError,
    ExifToolEndedError,
    KeptExifTool,
)
from cl_client.models import JSONObject
from patience import BRIEF, SECONDS, eventually
from support import require

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

Read = tuple[JSONObject, str]
JSON_LIST = TypeAdapter(list[JSONObject])


@pytest.fixture
def kept() -> Generator[KeptExifTool]:
    require("exiftool")
    kept = KeptExifTool(("-json", "-n", "-G"))
    yield kept
    kept.close()


@pytest.fixture
def read(kept: KeptExifTool) -> Callable[[Path], Read]:
    def read(file: Path) -> Read:
        output, errors = kept.read(require("exiftool"), file, SECONDS)
        found = JSON_LIST.validate_json(output)[0] if output else {}
        return {key: value for key, value in found.items() if key != "File:FileAccessDate"}, errors

    return read


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    draw_photo(path, size=(64, 48))
    return path


OTHERS: set[int] = set()


@pytest.fixture(autouse=True)
def other_processes() -> None:
    """Tests that ran before in this process may have left an ExifTool of their own."""
    OTHERS.clear()
    OTHERS.update(child.pid for child in psutil.Process().children())


def its_processes(command: str = "-stay_open") -> list[psutil.Process]:
    children = (child for child in psutil.Process().children() if child.pid not in OTHERS)
    return [child for child in children if command in child.cmdline()]


def test_one_process_reads_all_files(photo: Path, read: Callable[[Path], Read]) -> None:
    processes: set[int] = set()
    for number in range(5):
        copy = photo.with_name(f"{number}.jpg")
        draw_photo(copy, size=(32 + number, 32))
        found, errors = read(copy)
        assert (found["File:FileName"], found["File:ImageWidth"], errors) == (copy.name, 32 + number, "")
        processes |= {process.pid for process in its_processes()}
    assert len(processes) == 1


def test_a_bad_file_does_not_harm_the_next_one(
    tmp_path: Path, photo: Path, read: Callable[[Path], Read]
) -> None:
    damaged, missing = tmp_path / "damaged.jpg", tmp_path / "missing.jpg"
    damaged.write_bytes(photo.read_bytes()[:300])
    good = read(photo)[0]
    assert read(missing) == ({}, f"Error: File not found - {missing}")
    assert read(photo) == (good, "")
    assert read(damaged)[0]["File:FileName"] == "damaged.jpg"
    assert read(photo) == (good, "")


@pytest.mark.parametrize(
    "name",
    ["-ver.jpg", "#.jpg", "$x @y.jpg", " a.jpg", "été ☀.jpg", "{ready1}.jpg", "-execute", "a\\nb.jpg"],
)
def test_odd_names(photo: Path, read: Callable[[Path], Read], name: str) -> None:
    odd = photo.rename(photo.with_name(name))
    found, errors = read(odd)
    assert (found["File:FileName"], errors) == (name, "")


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("name", ["a\n-ver\n-execute\n.jpg", "b.jpg\r", "\n#\\n.jpg", "c\r\nd.jpg\n"])
def test_line_breaks_in_names_end_no_argument(photo: Path, read: Callable[[Path], Read], name: str) -> None:
    odd = photo.rename(photo.with_name(name))
    found, errors = read(odd)
    assert (found["File:ImageWidth"], errors) == (64, "")
    assert read(odd)[0]["File:FileName"] == found["File:FileName"]


def test_a_process_that_was_killed_is_replaced(photo: Path, read: Callable[[Path], Read]) -> None:
    good = read(photo)
    (process,) = its_processes()
    process.kill()
    assert read(photo) == good
    (other,) = its_processes()
    assert other.pid != process.pid


def test_a_process_that_hangs_is_replaced(
    photo: Path, kept: KeptExifTool, read: Callable[[Path], Read]
) -> None:
    good = read(photo)
    (process,) = its_processes()
    process.suspend()
    with pytest.raises(TimeoutError):
        kept.read(require("exiftool"), photo, BRIEF)
    assert its_processes() == []
    assert read(photo) == good


def test_much_and_too_much_output(tmp_path: Path, photo: Path, read: Callable[[Path], Read]) -> None:
    def draw(text_bytes: int) -> Path:
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Comment", "x" * text_bytes)
        Image.new("L", (1, 1)).save(tmp_path / "wordy.png", pnginfo=texts)
        return tmp_path / "wordy.png"

    assert len(str(read(draw(5_000_000))[0]["PNG:Comment"])) == 5_000_000
    wordy = draw(65 * 1024 * 1024)
    with pytest.raises(AnswerTooLargeError):
        read(wordy)
    assert read(photo)[0]["File:FileName"] == "photo.jpg"


@pytest.mark.skipif(os.name == "nt", reason="writes all of a sparse file")
def test_a_video_of_more_than_4_gib(tmp_path: Path) -> None:
    clip, film = tmp_path / "clip.mp4", tmp_path / "film.mp4"
    draw_video(clip, seconds=0.2, size=(64, 48))
    content, gap = clip.read_bytes(), 5 << 30
    start, end = content.index(b"mdat") - 4, content.index(b"moov") - 4
    with film.open("wb") as file:
        file.write(content[:start] + struct.pack(">I4sQ", 1, b"mdat", 16 + gap))
        file.seek(gap, os.SEEK_CUR)
        file.write(content[end:])
    found = read_with_exiftool(film, require("exiftool"))
    assert found["QuickTime:ImageWidth"] == 64
    assert "ExifTool:Warning" not in found


@pytest.mark.skipif(os.name == "nt", reason="needs programs that are scripts")
def test_another_version_of_the_program_is_started_anew(
    tmp_path: Path, photo: Path, kept: KeptExifTool
) -> None:
    program = tmp_path / "exiftool"

    def install(script: str) -> None:
        program.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    install(f'exec {require("exiftool")} "$@"')
    assert JSON_LIST.validate_json(kept.read(str(program), photo, SECONDS)[0])
    install("echo no perl here >&2; exit 3")
    with pytest.raises(ExifToolEndedError, match=r"^no perl here$"):
        kept.read(str(program), photo, SECONDS)
    install("exit 3")
    with pytest.raises(ExifToolEndedError, match=r"^exit code 3$"):
        kept.read(str(program), photo, SECONDS)
    program.unlink()
    with pytest.raises(FileNotFoundError):
        kept.read(str(program), photo, SECONDS)


_OWNER = """
import os, sys
from pathlib import Path
import psutil
from cl_client.local.tasks.metadata.exiftool_process import KeptExifTool

kept = KeptExifTool(("-json",))

def read():
    kept.read(sys.argv[1], Path(sys.argv[2]), 100)
    children = psutil.Process().children()
    print(*(child.pid for child in children if "-stay_open" in child.cmdline()), flush=True)

"""


def owner(photo: Path, then: str) -> subprocess.Popen[bytes]:
    """A process that has read a file and printed the ID of its ExifTool, and then does something else."""
    command = [sys.executable, "-c", f"{_OWNER}read()\n{then}", require("exiftool"), str(photo)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own


def test_a_killed_owner_leaves_no_process_behind(photo: Path) -> None:
    with owner(photo, "sys.stdin.read()") as process:
        left = psutil.Process(int(cast("BinaryIO", process.stdout).readline()))
        process.kill()
    eventually(lambda: not left.is_running() or left.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_process_starts_its_own(photo: Path) -> None:
    fork = """
if child := os.fork():
    os.waitpid(child, 0)
    read()
else:
    read()
    kept.close()
    os._exit(0)
"""
    with owner(photo, fork) as process:
        output, _ = process.communicate()
    before, of_child, after = output.split()
    assert before == after != of_child
