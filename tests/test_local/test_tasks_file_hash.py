"""Hashes and media types of real files."""

from __future__ import annotations

import hashlib
import wave
from typing import TYPE_CHECKING, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field

from cl_client._core.choices import HashAlgorithm
from cl_client.local.samples import draw_drawing, draw_photo, draw_video
from cl_client.local.tasks.contract import TaskContext, TaskFailedError
from cl_client.local.tasks.hashing import file_hash
from cl_client.local.tasks.media_types import detect_media_type
from cl_client.plugins.hash import HashParams

if TYPE_CHECKING:
    from pathlib import Path

ALGORITHMS: tuple[HashAlgorithm, ...] = get_args(HashAlgorithm)


class HashFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hash_value: str
    algorithm: str
    media_type: str
    process_time: float = Field(ge=0)


def hashed(source: Path, algorithm: HashAlgorithm = "sha512") -> tuple[HashFile, list[int]]:
    """The result file, and the progress that was told; the output must be the media type alone."""
    progress: list[int] = []
    output = source.parent / "hash.json"
    context = TaskContext(HashParams(algorithm=algorithm), source, output, source.parent, progress.append)
    task_output = file_hash.run(context)
    result = HashFile.model_validate_json(output.read_bytes())
    assert task_output == {"media_type": result.media_type}
    return result, progress


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 3 * 1024 * 1024 + 17])
def test_the_hash_is_that_of_the_bytes(tmp_path: Path, algorithm: HashAlgorithm, size: int) -> None:
    source = tmp_path / "-file ☀.bin"
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    source.write_bytes(content)
    result, progress = hashed(source, algorithm)
    assert result.hash_value == hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    assert result.algorithm == {"md5": "md5", "sha512": "sha512_generic"}[algorithm]
    assert result.media_type == "file"
    assert progress == sorted(progress)
    assert len(progress) == -(-size // (1024 * 1024))


def test_a_missing_file_fails(tmp_path: Path) -> None:
    with pytest.raises(TaskFailedError, match=r"^gone\.bin: cannot be read: "):
        hashed(tmp_path / "gone.bin")


def test_a_result_that_cannot_be_written_fails(tmp_path: Path) -> None:
    source = tmp_path / "file.bin"
    source.write_bytes(b"content")
    context = TaskContext(HashParams(), source, tmp_path / "gone" / "hash.json", tmp_path, lambda _: None)
    with pytest.raises(TaskFailedError, match=r"^hash\.json: cannot be written: "):
        file_hash.run(context)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.heic", "photo.webp", "photo.png", "photo.tiff"])
def test_pictures(tmp_path: Path, name: str) -> None:
    draw_photo(tmp_path / name, size=(40, 30))
    misnamed = (tmp_path / name).rename(tmp_path / "file.mp4")
    result = hashed(misnamed)[0]
    assert (result.media_type, result.algorithm) == ("image", "sha512_image")


def test_a_drawing_is_a_picture(tmp_path: Path) -> None:
    draw_drawing(tmp_path / "drawing.gif")
    assert detect_media_type(tmp_path / "drawing.gif") == "image"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov", "clip.avi"])
def test_videos(tmp_path: Path, name: str) -> None:
    draw_video(tmp_path / name, seconds=0.1, size=(64, 48))
    misnamed = (tmp_path / name).rename(tmp_path / "file.jpg")
    result = hashed(misnamed)[0]
    assert (result.media_type, result.algorithm) == ("video", "sha512_video")


def test_sound(tmp_path: Path) -> None:
    source = tmp_path / "song.jpg"
    with wave.open(str(source), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16_000))
    result = hashed(source)[0]
    assert (result.media_type, result.algorithm) == ("audio", "sha512_generic")
    assert result.hash_value == hashlib.sha512(source.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "content", [b"", b"Buy milk. " * 300, bytes(4096), b"\xff\xd8", b"RIFF", b"%PDF-1.7"]
)
@pytest.mark.parametrize("name", ["file.jpg", "file.mp4", "file.mp3", "file.txt"])
def test_anything_else_is_unknown_whatever_its_name(tmp_path: Path, content: bytes, name: str) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    assert detect_media_type(source) == "unknown"


def test_md5_is_that_of_the_bytes_of_any_media(tmp_path: Path) -> None:
    draw_photo(tmp_path / "photo.jpg", size=(40, 30))
    draw_video(tmp_path / "clip.mp4", seconds=0.1, size=(64, 48))
    for name, media_type in (("photo.jpg", "image"), ("clip.mp4", "video")):
        result = hashed(tmp_path / name, "md5")[0]
        content = (tmp_path / name).read_bytes()
        assert result.hash_value == hashlib.md5(content, usedforsecurity=False).hexdigest()
        assert (result.media_type, result.algorithm) == (media_type, "md5")


def test_a_truncated_picture_is_still_a_picture_and_has_a_warning(tmp_path: Path) -> None:
    source = tmp_path / "cut.jpg"
    draw_photo(source, size=(400, 300))
    source.write_bytes(source.read_bytes()[:3000])
    context = TaskContext(HashParams(), source, tmp_path / "hash.json", tmp_path, lambda _: None)
    output = file_hash.run(context)
    assert output["media_type"] == "image"
    assert output["warnings"] == context.warnings
    assert len(context.warnings) == 1
