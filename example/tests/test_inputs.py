"""Which files arguments mean, whatever they are called and whatever leads to them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cl_client.plugins.hls_streaming import HlsStreamingParams
from cl_client_cli.batch.items import ItemKey
from cl_client_cli.batch.plan import plan_items
from cl_client_cli.batch.spec import read_spec
from cl_client_cli.frame.options import InputOptions
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.frame.user_folders import DATA_DIR_VARIABLE
from cl_client_cli.tasks.inputs import find_inputs
from cl_client_cli.tasks.result_names import ResultNames
from cl_client_cli.tasks.task_params import task_params
from written_files import make

if TYPE_CHECKING:
    from cl_client_cli.tasks.inputs import InputSearch


_LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
_OBEYS_MODES = pytest.mark.skipif(
    sys.platform == "win32" or (os.geteuid() == 0 and shutil.which("setpriv") is None),
    reason="this user may read and write everything",
)


@pytest.fixture
def search(search: InputSearch) -> InputSearch:
    """A search for pictures."""
    return replace(search, suffixes={".jpg", ".png"})


def names(search: InputSearch, *arguments: str) -> list[str]:
    return [path.as_posix() for path in find_inputs(arguments, search).files]


def targets(search: InputSearch, *arguments: str) -> list[str]:
    found = find_inputs(arguments, search)
    places = ResultNames(Path("out"), found.files, found.folders, ".thumbnail.jpg")
    return [places.target(path).as_posix() for path in found.files]


def refused(search: InputSearch, *arguments: str) -> str:
    with pytest.raises(UsageError) as caught:
        find_inputs(arguments, search)
    return str(caught.value)


def test_a_folder_with_results(search: InputSearch) -> None:
    """What is called like a result of a file beside it is left out, unless it is named."""
    own = ["p/a.jpg", "p/a.png", "p/b.faces.jpg", "p/holiday-2.jpg"]
    made = ["p/a.thumbnail.jpg", "p/a-png.thumbnail.jpg", "p/a-png-2.thumbnail.jpg", "p/a.faces.jpg"]
    make(*own, *made)
    assert names(search, "p") == own
    assert names(search, "p/a.thumbnail.jpg", "p/*.faces.jpg") == [
        "p/a.thumbnail.jpg",
        "p/a.faces.jpg",
        "p/b.faces.jpg",
    ]


def test_places_stay_while_a_folder_grows(search: InputSearch) -> None:
    make("p/2024/a.jpg")
    assert targets(search, "p") == targets(search, "p/**/*.jpg") == ["out/2024/a.thumbnail.jpg"]
    make("p/2025/a.jpg", "q/2024/a.jpg")
    assert targets(search, "p") == ["out/2024/a.thumbnail.jpg", "out/2025/a.thumbnail.jpg"]
    assert targets(search, "p", "q")[::2] == ["out/p/2024/a.thumbnail.jpg", "out/q/2024/a.thumbnail.jpg"]


@_LINKS
def test_one_file_by_many_paths(search: InputSearch) -> None:
    make("a.jpg", "sub/b.jpg", "far/deep/c.jpg", "far/d.jpg")
    Path("link").symlink_to("far/deep")
    assert names(search, "a.jpg", "sub/../a.jpg", "./a.jpg") == ["a.jpg"]
    assert targets(search, "sub/../a.jpg") == ["out/a.thumbnail.jpg"]
    # What is above a link is not what its name seems to say.
    assert names(search, "far/d.jpg", "link/../d.jpg") == ["far/d.jpg"]
    assert targets(search, "link/../d.jpg", "far/deep/c.jpg")[0] == "out/d.thumbnail.jpg"


@_LINKS
def test_links_to_folders_are_followed_once(search: InputSearch) -> None:
    make("p/a.jpg", "p/sub/b.jpg", "elsewhere/c.jpg", "elsewhere/store")
    for link, target in {
        "p/a_first": "sub",
        "p/loop": ".",
        "p/sub/up": "..",
        "p/other": "../elsewhere",
        "p/a2.jpg": "a.jpg",
        "p/s.jpg": "../elsewhere/store",
        "p/gone": "nowhere",
        "p/itself": "itself",
    }.items():
        Path(link).symlink_to(target)
    expected = ["p/a.jpg", "p/other/c.jpg", "p/s.jpg", "p/sub/b.jpg"]
    assert names(search, "p") == names(search, "p/**/*.jpg") == expected
    assert names(search, "p/*.jpg") == ["p/a.jpg", "p/s.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("p/**/*.jpg", ["p/a.jpg", "p/x/b.jpg", "p/x/y/c.jpg"]),
        ("p/**/y/*", ["p/x/y/c.jpg", "p/x/y/d.txt"]),
        ("*/x/**", ["p/x/b.jpg", "p/x/y/c.jpg", "p/x/y/d.txt"]),
        ("**/.h/*.jpg", ["p/.h/e.jpg"]),
        ("p/x/?.jpg", ["p/x/b.jpg"]),
        ("p/[1].jpg", ["p/[1].jpg"]),
    ],
)
def test_patterns(search: InputSearch, pattern: str, expected: list[str]) -> None:
    make("p/a.jpg", "p/x/b.jpg", "p/x/y/c.jpg", "p/x/y/d.txt", "p/.h/e.jpg")
    if "[" in pattern:
        make("p/[1].jpg", "p/1.jpg")
    assert names(search, pattern) == expected


def test_lists(search: InputSearch) -> None:
    strange = "b\udcff.jpg" if sys.platform == "linux" else "b\u00fc.jpg"
    make("a.jpg", strange, "#c.jpg")
    lines = ("# of pictures", " a.jpg ", "", strange, "./#c.jpg")
    Path("list.txt").write_bytes(b"\xef\xbb\xbf" + os.fsencode("\r\n".join(lines)))
    assert names(search, "@list.txt") == ["a.jpg", strange, "#c.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_list_of_names_that_are_no_unicode_from_standard_input(
    work_folder: Path, cli_environment: dict[str, str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "cl_client_cli", "hash", "compute", "@-"],
        cwd=work_folder,
        env={**cli_environment, "PYTHONIOENCODING": "utf-8:strict"},
        input=b"b\xff.jpg\n",
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 2
    assert b"no such file" in ended.stderr


def test_a_folder_with_nothing_in_it(search: InputSearch, told: list[str]) -> None:
    make("a.jpg", "p/notes.txt")
    assert names(search, "p", "a.jpg") == ["a.jpg"]
    assert told == [
        "'p': no suitable files in this folder or its subfolders",
        "Skipped 1 file or folder: 1 of other file types (.txt)",
    ]
    assert "--recursive" not in refused(search, "p")
    assert "--recursive searches subfolders too" in refused(replace(search, recursive=False), "p")
    assert refused(search, "a.jpg", "*.nope") == "'*.nope': no file matches this pattern"


@_OBEYS_MODES
@pytest.mark.parametrize(
    ("command", "mode", "words"),
    [
        ("hash compute p -r", 0o000, "'p/shut': cannot read this folder"),
        ("hash compute p/**/*.jpg", 0o000, "'p/shut': cannot read this folder"),
        ("media-thumbnail generate ../a.jpg", 0o555, "no permission to write in"),
    ],
)
def test_a_folder_that_may_not_be_used(
    work_folder: Path, cli_environment: dict[str, str], command: str, mode: int, words: str
) -> None:
    shut = work_folder / "p" / "shut"
    shut.mkdir(parents=True)
    (work_folder / "p" / "a.jpg").write_bytes(b"a")
    # The superuser is stopped by nothing until it gives its powers up.
    obedient = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    shut.chmod(mode)
    try:
        ended = subprocess.run(  # noqa: S603 - the command under test
            [*obedient, sys.executable, "-m", "cl_client_cli", *command.split()],
            cwd=shut if mode else work_folder,
            env={**cli_environment, "COMPUTE_SERVER_URL": "http://127.0.0.1:9"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    finally:
        shut.chmod(0o755)
    assert words in ended.stderr
    assert ended.returncode == 2


def test_a_batch_keeps_the_places_it_has_noted(search: InputSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of files that it noted by another path than would be noted today."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, "data")
    make("sub/b.jpg", "2024/a.jpg")
    Path("sub/jobs.csv").write_text("input,task,output\n../2024/a.jpg,hash,x\n")
    folder, noted = Path("out"), Path("sub/../2024/a.jpg").absolute()
    params = '{"algorithm": "sha512"}'
    known = {ItemKey(noted, "hash", params): folder / "x"}
    planned = partial(
        plan_items, params=(), folder=folder, known=known, search=InputOptions(recursive=True), say=search.say
    )
    assert planned(["sub/jobs.csv"], ()) == known
    items = planned(["2024", "sub/b.jpg"], ["exif", "hash"])
    assert {path.as_posix() for path in items.values()} == {
        "out/x",
        "out/2024/a.exif.json",
        "out/sub/b.exif.json",
        "out/sub/b.hash.json",
    }


@pytest.mark.parametrize(
    "written",
    [
        ["720:3500", {"height": 480, "bitrate": 1500}],
        [{"resolution": 720, "bitrate": 3500}, {"resolution": "480", "bitrate": "1500"}],
        "720:3500, 480:1500",
        '[{"resolution": 720, "bitrate": 3500}, {"resolution": 480, "bitrate": 1500}]',
    ],
)
def test_the_qualities_of_a_stream_in_a_specification(search: InputSearch, written: object) -> None:
    del search  # only its folder is needed
    make("a.mp4")
    row = {"input": "a.mp4", "task": "hls-streaming", "params": {"variants": written}, "output": ""}
    Path("jobs.json").write_text(json.dumps([row]))
    (spec,) = read_spec(Path("jobs.json"))
    assert spec.output is None
    params = task_params(spec.task, {**spec.params})
    assert isinstance(params, HlsStreamingParams)
    assert [(it.resolution, it.bitrate) for it in params.variants] == [(720, 3500), (480, 1500)]
