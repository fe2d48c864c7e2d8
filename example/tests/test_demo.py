from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel

from cl_client import WorkerUnavailableError
from cl_client.local.models.catalog import MODELS
from cl_client.local.samples import camera_exif, draw_photo, write_astronaut
from cl_client.plugins.face_detection import BoundingBox, Face, FaceDetectionOutput, FaceLandmarks
from cl_client_cli.frame.own_server import own_server
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.pictures.faces import mark_faces
from command_lines import rest_of
from hls_playback import Playlist
from small_models import save_clip_model, save_dino_model

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI, StartCLI


_ESCAPE = "\x1b"
_RESULTS_OF_A_PICTURE = {
    "converted.webp", "exif_metadata.json", "faces.json", "hash.json", "thumbnail.jpg",
}  # fmt: skip


class _HashFile(BaseModel):
    hash_value: str


def _photo(file: Path, size: tuple[int, int] = (320, 240)) -> Path:
    Image.effect_noise(size, 80).convert("RGB").save(file)
    return file


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, cli_environment: dict[str, str]) -> Path:
    """Where the demo's server finds models: none, until a test puts some there."""
    folder = tmp_path / "models"
    cli_environment["CL_CLIENT_MODELS"] = str(folder)
    return folder


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def _is_marked(picture: Image.Image, x: float, y: float) -> bool:
    """Whether the pixel has the green of the marks, which JPEG blurs a little."""
    pixel = picture.getpixel((round(x), round(y)))
    assert isinstance(pixel, tuple)
    return all(abs(is_ - should) < 60 for is_, should in zip(pixel, (0, 230, 118), strict=True))


def test_samples_run_through_and_leave_their_results(
    run_cli: RunCLI, work_folder: Path, temp_folder: Path
) -> None:
    shown = run_cli("demo")

    assert shown.returncode == 0, shown.stderr
    assert _ESCAPE not in shown.stdout + shown.stderr
    *_, summary, left_out = shown.stderr.splitlines()
    assert summary == "28 of 28 jobs succeeded. The results are in cl-client-demo"
    assert left_out.endswith(
        "clip_embedding, dino_embedding, face_embedding. To install: cl-client models pull"
    )
    output = work_folder / "cl-client-demo"
    for sample in (output / "samples").iterdir():
        assert sample.name in shown.stdout
    assert {folder.name: _names(folder) for folder in output.iterdir()} == {
        "samples": {
            "mountains.jpg", "portrait.jpg", "portrait.heic", "astronaut.jpg", "drawing.png", "clip.mp4",
        },
        "mountains": _RESULTS_OF_A_PICTURE,
        "portrait": _RESULTS_OF_A_PICTURE,
        "portrait-heic": _RESULTS_OF_A_PICTURE,
        "astronaut": {*_RESULTS_OF_A_PICTURE, "faces", "faces.jpg"},
        "drawing": _RESULTS_OF_A_PICTURE,
        "clip": {"hash.json", "thumbnail.jpg", "hls"},
    }  # fmt: skip
    for file in (*output.glob("*/*.jpg"), *output.glob("*/*.webp"), *output.glob("*/faces/*")):
        with Image.open(file) as picture:
            picture.load()
    assert "1 face, confidence" in shown.stdout
    assert "2 variants, 4 segments, 3.0 s" in shown.stdout
    heights = {Playlist(file).size[1] for file in (output / "clip" / "hls").glob("adaptive-*.m3u8")}
    assert heights == {180, 360}
    assert not list(temp_folder.iterdir())


def test_faces_are_marked_on_the_upright_picture(run_cli: RunCLI, work_folder: Path) -> None:
    write_astronaut(work_folder / "upright.png")
    with Image.open(work_folder / "upright.png") as astronaut:
        stored = astronaut.crop((0, 0, 400, 512)).transpose(Image.Transpose.ROTATE_90)
    stored.save(work_folder / "turned.jpg", exif=camera_exif(6).tobytes())

    shown = run_cli("demo", "turned.jpg", "--output-dir", "results")

    assert shown.returncode == 0, shown.stdout
    results = work_folder / "results" / "turned"
    found = FaceDetectionOutput.model_validate_json((results / "faces.json").read_bytes())
    assert f"1 face, confidence {found.faces[0].confidence:.2f} (yunet)" in shown.stdout
    [box] = found.pixel_boxes
    with Image.open(results / "faces.jpg") as marked:
        assert marked.size == (400, 512)
        middle_x, middle_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        for x, y in (
            (middle_x, box.top),
            (middle_x, box.bottom),
            (box.left, middle_y),
            (box.right, middle_y),
        ):
            assert _is_marked(marked, x, y)
        assert not _is_marked(marked, middle_x, middle_y)
    assert _names(results / "faces") == {"face_0.png"}


def test_landmarks_are_marked(tmp_path: Path) -> None:
    draw_photo(tmp_path / "photo.jpg", size=(400, 300))
    points = {
        "right_eye": (0.4, 0.4), "left_eye": (0.6, 0.4), "nose_tip": (0.5, 0.5),
        "mouth_right": (0.4, 0.6), "mouth_left": (0.6, 0.6),
    }  # fmt: skip
    face = Face(
        bbox=BoundingBox(x1=0.3, y1=0.3, x2=0.7, y2=0.7),
        confidence=0.9,
        landmarks=FaceLandmarks.model_validate(points),
    )

    mark_faces(tmp_path / "photo.jpg", [face], tmp_path / "faces.jpg")

    with Image.open(tmp_path / "photo.jpg") as photo, Image.open(tmp_path / "faces.jpg") as marked:
        for x, y in (*points.values(), (0.3, 0.5), (0.5, 0.3)):
            assert _is_marked(marked, 400 * x, 300 * y)
            assert not _is_marked(photo, 400 * x, 300 * y)


def test_tasks_whose_models_are_there_run_too(
    run_cli: RunCLI, work_folder: Path, models_folder: Path
) -> None:
    save_clip_model(models_folder / MODELS["mobileclip"].file_name)
    save_dino_model(models_folder / MODELS["dinov2"].file_name)
    _photo(work_folder / "photo.jpg")

    shown = run_cli("demo", "photo.jpg", "--output-dir", "results")

    assert shown.returncode == 0, shown.stdout
    for task, size in (("clip_embedding", 512), ("dino_embedding", 384)):
        loaded = cast("object", np.load(work_folder / "results" / "photo" / f"{task}.npy"))
        assert np.shape(np.asarray(loaded)) == (size,)
        assert f"{size} numbers, unit length" in shown.stdout
    assert "not installed: face_embedding." in shown.stderr.splitlines()[-1]


def test_bad_photos_are_rows_that_name_the_cause(run_cli: RunCLI, work_folder: Path) -> None:
    good = _photo(work_folder / "good.jpg")
    content = good.read_bytes()
    (work_folder / "truncated.jpg").write_bytes(content[: len(content) // 3])
    (work_folder / "empty.jpg").touch()
    (work_folder / "text.jpg").write_text("These are words.", encoding="utf-8")
    (work_folder / "text.mp4").write_text("These are words.", encoding="utf-8")
    names = ("good.jpg", "truncated.jpg", "empty.jpg", "text.jpg", "text.mp4")

    shown = run_cli("demo", *names, "--output-dir", "results")

    assert shown.returncode == 1
    assert "Traceback" not in shown.stdout + shown.stderr
    for name, reason in zip(names, ("", "", "the file is empty", "", ""), strict=True):
        assert any(name in line and reason in line for line in shown.stdout.splitlines())
    for reason in ("warning: the file is truncated", "not an image", "the video cannot be decoded"):
        assert reason in shown.stdout
    results = work_folder / "results"
    with Image.open(results / "truncated" / "thumbnail.jpg") as thumbnail:
        assert thumbnail.size == (256, 192)
    with Image.open(results / "good" / "thumbnail.jpg") as thumbnail:
        assert thumbnail.size == (256, 192)
    with Image.open(results / "good" / "converted.webp") as converted:
        assert (converted.format, converted.size) == ("WEBP", (320, 240))
    hash_value = _HashFile.model_validate_json((results / "good" / "hash.json").read_bytes()).hash_value
    assert hash_value[:16] in shown.stdout
    assert _names(results / "good") == _RESULTS_OF_A_PICTURE
    assert not (results / "empty").exists()


def test_results_of_one_name_are_kept_apart(run_cli: RunCLI, work_folder: Path) -> None:
    earlier = work_folder / "cl-client-demo"
    earlier.mkdir()
    (work_folder / "other").mkdir()
    photos = [
        _photo(work_folder / "a.jpg", (300, 200)),
        _photo(work_folder / "A.png", (200, 300)),
        _photo(work_folder / "other" / "a.jpg", (100, 100)),
    ]

    shown = run_cli("demo", *map(str, photos), str(photos[0]))

    assert shown.returncode == 0, shown.stdout
    assert not list(earlier.iterdir())
    sizes: dict[str, tuple[int, int]] = {}
    for folder in (work_folder / "cl-client-demo-2").iterdir():
        with Image.open(folder / "thumbnail.jpg") as thumbnail:
            sizes[folder.name] = thumbnail.size
    assert sizes == {"a": (256, 171), "A-png": (171, 256), "a-jpg": (100, 100)}


def test_no_keep_leaves_nothing(run_cli: RunCLI, work_folder: Path, temp_folder: Path) -> None:
    photo = _photo(work_folder / "photo.jpg")

    shown = run_cli("demo", "photo.jpg", "--no-keep")

    assert shown.returncode == 0, shown.stdout
    assert "256 x 192 pixels" in shown.stdout
    assert list(work_folder.iterdir()) == [photo]
    assert not list(temp_folder.iterdir())


async def test_a_server_whose_workers_do_not_come_is_not_waited_for_in_vain() -> None:
    with pytest.raises(WorkerUnavailableError):
        async with own_server(Terminal.make(), patience=1e-6):
            pytest.fail("there cannot be a worker yet")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one other process")
def test_an_interrupted_demo_leaves_nothing_behind(
    start_cli: StartCLI, work_folder: Path, temp_folder: Path
) -> None:
    photos = [str(_photo(work_folder / f"{number}.jpg", (2000, 1500))) for number in range(12)]
    with start_cli("demo", *photos) as process:
        assert process.stderr is not None
        first_lines = [process.stderr.readline(), process.stderr.readline()]
        process.send_signal(signal.SIGINT)
        # The workers have these pipes too: that they end shows that no worker is left.
        errors = rest_of(process)[1]

    assert "Local server at" in first_lines[0]
    assert "[1/60]" in first_lines[1]
    assert "[60/60]" not in errors
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not list(temp_folder.iterdir())
