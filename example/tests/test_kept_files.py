"""Commands change nothing but their results: not their inputs, and not what stands beside them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from cl_client.local.samples import draw_photo

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI

pytestmark = pytest.mark.usefixtures("at_server")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photos(work_folder: Path) -> dict[Path, bytes]:
    """Pictures whose conversions want the names of others, and what stands beside them."""
    for number, name in enumerate(("a.jpg", "a.png", "b.jpg")):
        draw_photo(work_folder / name, size=(40 + number, 30))
    (work_folder / "a.faces.json").write_text("mine")
    (work_folder / "notes.txt").write_text("mine")
    return contents(work_folder)


@pytest.mark.parametrize(
    "command",
    [
        "image-conversion convert a.jpg a.png --format jpg --force",
        "image-conversion convert . --format jpg -d . --force",
        "face-detection detect . --annotate . -d found",
        "batch submit . -t image-conversion --param image_conversion.format=jpg -d .",
        "batch submit a.jpg -t face-detection -t image-conversion --param image-conversion.format=png -d .",
    ],
)
def test_inputs_and_bystanders(
    run_cli: RunCLI, work_folder: Path, photos: dict[Path, bytes], command: str
) -> None:
    shown = run_cli(*command.split())
    assert shown.returncode == 0, shown.stderr
    now = contents(work_folder)
    assert {path: now.get(path) for path in photos} == photos
    assert len([path for path in now.keys() - photos.keys() if path.suffix != ".sqlite"]) >= 2


def test_a_conversion_to_its_own_format_has_a_name_of_its_own(
    run_cli: RunCLI, work_folder: Path, photos: dict[Path, bytes]
) -> None:
    command = ("image-conversion", "convert", "b.jpg", "--format", "jpg", "--quality", "10")
    assert run_cli(*command).stdout.rstrip().endswith("-> b-jpg.jpg")
    assert (work_folder / "b-jpg.jpg").read_bytes() != photos[work_folder / "b.jpg"]
    assert "1 already up to date" in run_cli(*command).stderr


def test_the_folder_of_a_stream(run_cli: RunCLI, work_folder: Path, samples: Path) -> None:
    """A second stream takes the place of the first; what else is in its folder, or named by it, stays."""
    [video] = samples.glob("*.mp4")
    shutil.copy(video, work_folder / "film.mp4")
    command = ("hls-streaming", "generate-manifest", "film.mp4", "-o", "film")
    assert run_cli(*command, "--variant", "72:200", "--variant", "36:100").returncode == 0
    folder = work_folder / "film"
    first = set(contents(folder))
    assert len([path for path in first if path.suffix == ".m3u8"]) == 3
    outside = work_folder / "song.ts"
    for mine in (folder / "notes.txt", outside):
        mine.write_text("mine")
    with (folder / "adaptive.m3u8").open("a") as master:
        master.write(f"\n../song.ts\n{outside}\n")
    assert run_cli(*command, "--variant", "72:200").returncode == 0
    now = set(contents(folder))
    assert len([path for path in now if path.suffix == ".m3u8"]) == 2
    assert now < {*first, folder / "notes.txt"}
    assert (folder / "notes.txt") in now
    assert outside.read_text() == "mine"


def test_a_picture_of_many_pixels(run_cli: RunCLI, work_folder: Path) -> None:
    """A phone's 200 million are told as a result, and the other files' results with them."""
    Image.new("1", (20_000, 10_000)).save(work_folder / "many.png")
    draw_photo(work_folder / "few.jpg", size=(40, 30))
    shown = run_cli("face-detection", "detect", "many.png", "few.jpg", "--annotate", "marked", "-d", "found")
    assert "Traceback" not in shown.stderr
    assert (work_folder / "marked" / "few.faces.jpg").is_file()


def test_faces_that_are_no_longer_found_leave(run_cli: RunCLI, work_folder: Path, samples: Path) -> None:
    command = ("face-detection", "detect", "party.jpg", "-d", ".")
    shutil.copy(samples / "astronaut.jpg", work_folder / "party.jpg")
    assert run_cli(*command).returncode == 0
    folder = work_folder / "party.faces"
    assert [file.name for file in folder.iterdir()] == ["face_0.png"]
    (folder / "mine.png").write_text("mine")
    draw_photo(work_folder / "party.jpg", size=(40, 30))
    assert run_cli(*command).stdout.startswith("party.jpg: no faces")
    assert [file.name for file in folder.iterdir()] == ["mine.png"]
