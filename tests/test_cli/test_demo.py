from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path
    from subprocess import CompletedProcess, Popen
    from typing import TypeAlias

    RunCLI: TypeAlias = Callable[..., CompletedProcess[str]]
    StartCLI: TypeAlias = Callable[..., AbstractContextManager[Popen[str]]]

_ESCAPE = "\x1b"


class _HashFile(BaseModel):
    hash_value: str


def _photo(file: Path, size: tuple[int, int] = (320, 240)) -> Path:
    Image.effect_noise(size, 80).convert("RGB").save(file)
    return file


def test_samples_run_through_and_leave_their_results(
    run_cli: RunCLI, work_folder: Path, temp_folder: Path
) -> None:
    shown = run_cli("demo")

    assert shown.returncode == 0, shown.stderr
    assert not shown.stderr
    assert _ESCAPE not in shown.stdout
    output = work_folder / "cl-client-demo"
    assert shown.stdout.rstrip().endswith("The results are in cl-client-demo")
    results = sorted(file for file in output.glob("*/*") if file.parent.name != "samples")
    samples = sorted((output / "samples").iterdir())
    assert len({file.parent for file in results}) == len(samples)
    for sample in samples:
        assert sample.name in shown.stdout
    for file in results:
        if file.suffix in {".jpg", ".webp"}:
            with Image.open(file) as picture:
                picture.load()
    assert {file.suffix for file in results} == {".jpg", ".webp", ".json"}
    assert not list(temp_folder.iterdir())


def test_bad_photos_are_rows_that_name_the_cause(run_cli: RunCLI, work_folder: Path) -> None:
    good = _photo(work_folder / "good.jpg")
    content = good.read_bytes()
    (work_folder / "truncated.jpg").write_bytes(content[: len(content) // 3])
    (work_folder / "empty.jpg").touch()
    (work_folder / "text.jpg").write_text("These are words.", encoding="utf-8")

    shown = run_cli("demo", "good.jpg", "truncated.jpg", "empty.jpg", "text.jpg", "--output-dir", "results")

    assert shown.returncode == 1
    assert "Traceback" not in shown.stdout + shown.stderr
    assert "truncated.jpg: the picture is truncated" in shown.stdout
    assert "empty.jpg: the file is empty" in shown.stdout
    assert "text.jpg: not a picture" in shown.stdout
    results = work_folder / "results"
    with Image.open(results / "good" / "thumbnail.jpg") as thumbnail:
        assert thumbnail.size == (256, 192)
    with Image.open(results / "good" / "converted_good.webp") as converted:
        assert (converted.format, converted.size) == ("WEBP", (320, 240))
    hash_value = _HashFile.model_validate_json((results / "good" / "hash.json").read_bytes()).hash_value
    assert hash_value[:16] in shown.stdout
    assert (results / "good" / "exif_metadata.json").is_file()
    assert not (results / "empty").exists()


def test_photos_of_one_name_keep_their_results_apart(run_cli: RunCLI, work_folder: Path) -> None:
    (work_folder / "other").mkdir()
    photos = [
        _photo(work_folder / "a.jpg", (300, 200)),
        _photo(work_folder / "A.png", (200, 300)),
        _photo(work_folder / "other" / "a.jpg", (100, 100)),
    ]

    shown = run_cli("demo", *map(str, photos), str(photos[0]), "--output-dir", "results")

    assert shown.returncode == 0, shown.stdout
    sizes: dict[str, tuple[int, int]] = {}
    for folder in (work_folder / "results").iterdir():
        with Image.open(folder / "thumbnail.jpg") as thumbnail:
            sizes[folder.name] = thumbnail.size
    assert sizes == {"a": (256, 171), "A-png": (171, 256), "a-jpg": (100, 100)}


def test_a_second_demo_leaves_the_results_of_the_first_alone(run_cli: RunCLI, work_folder: Path) -> None:
    _photo(work_folder / "photo.jpg")
    taken = work_folder / "cl-client-demo"
    taken.mkdir()

    shown = run_cli("demo", "photo.jpg")

    assert shown.returncode == 0, shown.stdout
    assert not list(taken.iterdir())
    assert (work_folder / "cl-client-demo-2" / "photo" / "thumbnail.jpg").is_file()


def test_no_keep_leaves_nothing(run_cli: RunCLI, work_folder: Path, temp_folder: Path) -> None:
    photo = _photo(work_folder / "photo.jpg")

    shown = run_cli("demo", "photo.jpg", "--no-keep")

    assert shown.returncode == 0, shown.stdout
    assert "256 x 192 pixels" in shown.stdout
    assert list(work_folder.iterdir()) == [photo]
    assert not list(temp_folder.iterdir())


@pytest.mark.parametrize("name", ["missing.jpg", "folder"])
def test_a_photo_that_is_none_is_wrong_use(run_cli: RunCLI, work_folder: Path, name: str) -> None:
    (work_folder / "folder").mkdir()
    before = list(work_folder.iterdir())

    shown = run_cli("demo", name)

    assert shown.returncode == 2
    assert not shown.stdout
    assert name in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert list(work_folder.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one other process")
def test_an_interrupted_demo_leaves_nothing_behind(
    start_cli: StartCLI, work_folder: Path, temp_folder: Path
) -> None:
    photos = [str(_photo(work_folder / f"{number}.jpg", (2000, 1500))) for number in range(12)]
    with start_cli("demo", *photos) as process:
        assert process.stdout is not None
        first_lines = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        # The workers have these pipes too: that they end shows that no worker is left.
        rest, errors = process.communicate()

    assert "Local server at" in first_lines[0]
    assert "[1/48]" in first_lines[1]
    assert "[48/48]" not in rest
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not list(temp_folder.iterdir())
