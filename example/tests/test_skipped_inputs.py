"""What a search of folders leaves out, and what it says about that."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.inputs import find_inputs
from cl_client_cli.tasks.media_kinds import suffixes_for
from written_files import make

if TYPE_CHECKING:
    from cl_client_cli.tasks.inputs import InputSearch
    from command_lines import RunCLI

_LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


def names(search: InputSearch, *arguments: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [path.as_posix() for path in find_inputs(arguments, replace(search, exclude=exclude)).files]


@pytest.mark.parametrize(
    "left",
    [
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "2024/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "@EADIR/a.jpg",
        "#recycle/2020/old.jpg",
        "#snapshot/GMT-2024.01.01/a.jpg",
        "@Recycle/old.jpg",
        "@Recently-Snapshot/a.jpg",
        ".@__thumb/s800a.jpg",
        "$RECYCLE.BIN/S-1-5/$R1.jpg",
        "System Volume Information/tracking.log",
        "lost+found/#123",
        "~snapshot/daily/a.jpg",
        "__MACOSX/2024/._a.jpg",
        ".Trashes/501/a.jpg",
        ".Spotlight-V100/store.db",
        "._a.jpg",
        ".DS_Store",
        "Thumbs.db",
        "2024/thumbs.db",
        "ehthumbs.db",
        "Desktop.ini",
        ".thumbnails/1.jpg",
        ".trashed-1700000000-a.jpg",
        "Catalog Previews.lrdata/0/a.jpg",
    ],
)
def test_what_systems_leave(search: InputSearch, told: list[str], left: str) -> None:
    make("p/a.jpg", f"p/{left}")
    assert names(search, "p") == names(search, "p/**/*") == ["p/a.jpg"]
    (of_folder, of_pattern) = told
    assert of_folder.startswith("Skipped 1 file or folder: 1 created by systems or programs (")
    # A pattern that does not begin with a dot does not mean hidden files; but they are counted all the same.
    assert of_pattern == of_folder
    # Unless it is named.
    assert names(search, f"p/{left}") == [f"p/{left}"]
    top, *below = Path(left).parts
    if below and "@eaDir" not in below and not left.endswith(("thumbs.db", "._a.jpg")):
        assert names(search, f"p/{top}") == [f"p/{left}"]
    if "#" not in left:
        assert f"p/{left}" in names(search, f"p/**/{left}")


@pytest.mark.parametrize(
    "own",
    ["Thumbnails/a.jpg", "Recycled/art.jpg", "@home/a.jpg", "#1/a.jpg", "tmp/a.jpg", "$100.jpg", "~a.jpg"],
)
def test_what_a_user_may_have_named(search: InputSearch, told: list[str], own: str) -> None:
    make("p/.nomedia", f"p/{own}")
    assert names(search, "p") == [f"p/{own}"]
    assert told == ["Skipped 1 file or folder: 1 hidden"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.PNG", ["p/a.jpg", "p/raw/b.jpg", "p/raw/x/raw/c.jpg", "p/x/raw/e.jpg"]),
        ("raw", ["p/a.jpg", "p/d.png"]),
        ("raw/", ["p/a.jpg", "p/d.png"]),
        ("raw/*.jpg", ["p/a.jpg", "p/d.png", "p/raw/x/raw/c.jpg", "p/x/raw/e.jpg"]),
        ("./x/**", ["p/a.jpg", "p/d.png", "p/raw/b.jpg", "p/raw/x/raw/c.jpg"]),
        ("**/x/raw", ["p/a.jpg", "p/d.png", "p/raw/b.jpg"]),
        ("p/raw/x", ["p/a.jpg", "p/d.png", "p/raw/b.jpg", "p/x/raw/e.jpg"]),
        ("a.jpg/", ["p/a.jpg", "p/d.png", "p/raw/b.jpg", "p/raw/x/raw/c.jpg", "p/x/raw/e.jpg"]),
        ("[a-c].jpg", ["p/d.png", "p/x/raw/e.jpg"]),
        ("nothing*", ["p/a.jpg", "p/d.png", "p/raw/b.jpg", "p/raw/x/raw/c.jpg", "p/x/raw/e.jpg"]),
    ],
)
def test_excluding(search: InputSearch, pattern: str, left: list[str]) -> None:
    make("p/a.jpg", "p/d.png", "p/raw/b.jpg", "p/raw/x/raw/c.jpg", "p/x/raw/e.jpg")
    assert names(search, "p", exclude=(pattern,)) == left
    assert names(search, "p/**/*", exclude=(pattern,)) == left
    assert names(search, "p/a.jpg", "p/d.png", exclude=(pattern,)) == ["p/a.jpg", "p/d.png"]


def test_excluding_from_a_pattern(search: InputSearch, told: list[str]) -> None:
    make("p/a.jpg", "p/b.jpg")
    assert names(search, "p/*.jpg", exclude=("b*", "p/c*")) == ["p/a.jpg"]
    with pytest.raises(
        UsageError, match=r"no file matches this pattern\. Skipped 2 files and folders: 2 exc"
    ):
        names(search, "p/*.jpg", exclude=("*",))
    with pytest.raises(UsageError, match="the pattern is empty"):
        names(search, "p", exclude=("a", "/"))
    assert told == ["Skipped 1 file or folder: 1 excluded (b*)"]


@pytest.mark.parametrize(
    ("task", "taken"),
    [
        ("media_thumbnail", "a.HIF b.jfif c.jp2 d.mpo e.m2t f.VOB g.NEF i.psd"),
        ("exif", "a.HIF b.jfif c.jp2 d.mpo e.m2t f.VOB g.NEF i.psd"),
        ("image_conversion", "a.HIF b.jfif c.jp2 d.mpo i.psd"),
        ("hls_streaming", "e.m2t f.VOB"),
        ("hash", "a.HIF b.jfif c.jp2 d.mpo e.m2t f.VOB g.NEF h.ts i.psd"),
    ],
)
def test_the_suffixes_that_suit_a_task(search: InputSearch, task: str, taken: str) -> None:
    make("p/a.HIF", "p/b.jfif", "p/c.jp2", "p/d.mpo", "p/e.m2t", "p/f.VOB", "p/g.NEF", "p/h.ts", "p/i.psd")
    suiting = replace(search, suffixes=suffixes_for((task,)))
    assert names(suiting, "p") == [f"p/{name}" for name in taken.split()]
    assert names(suiting, "p/**/*.NEF", "p/h.ts") == ["p/g.NEF", "p/h.ts"]


@_LINKS
def test_every_reason_is_told(search: InputSearch, told: list[str]) -> None:
    make("p/a.jpg", "p/a.thumbnail.jpg", "p/x/.b.jpg", "p/x/c.jpg", "p/d.NEF", "p/e.nef", "p/f", "p/@eaDir/a")
    for link, target in {"loop": "..", "gone": "nowhere", "again.jpg": "x/c.jpg"}.items():
        Path(f"p/{link}").symlink_to(target)
    pictures = replace(search, suffixes={".jpg"})
    assert names(pictures, "p/x", "p", exclude=("e*",)) == ["p/x/c.jpg", "p/a.jpg"]
    assert names(replace(pictures, recursive=False), "p") == ["p/a.jpg", "p/again.jpg"]
    deep, flat = told
    assert deep == (
        "Skipped 10 files and folders: 1 created by systems or programs (@eaDir), 2 hidden, 1 excluded (e*), "
        "2 of other file types (.nef, no suffix), 1 made by earlier commands, "
        "2 found already by another path (p, again.jpg), 1 unusable, such as broken links (gone)"
    )
    assert flat == (
        "Skipped 8 files and folders: 1 created by systems or programs (@eaDir), "
        "3 of other file types (2 .nef, no suffix), 1 made by earlier commands, "
        "1 unusable, such as broken links (gone), 2 searched only with --recursive"
    )


@pytest.mark.usefixtures("at_server")
def test_a_command_tells_what_it_skips(run_cli: RunCLI, work_folder: Path) -> None:
    for name in ("a.txt", "b.txt", "x/c.txt", "Thumbs.db"):
        (work_folder / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (work_folder / "p" / name).write_bytes(b"content")
    done = run_cli("hash", "compute", "p", "-r", "--exclude", "b*", "--exclude=x", "--json")
    assert done.returncode == 0
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == [str(Path("p", "a.txt"))]
    skipped = "Skipped 3 files and folders: 1 created by systems or programs (Thumbs.db), 2 excluded (b*, x)"
    assert skipped in done.stderr
    quiet = run_cli("hash", "compute", "p", "-r", "-q")
    assert (quiet.returncode, quiet.stderr) == (0, "")
