"""A title that is not UTF-8 is no reason to refuse a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.local.samples import draw_video
from cl_client.local.tasks.videos.opening import open_container

if TYPE_CHECKING:
    from pathlib import Path


def test_a_latin_1_title(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    draw_video(video, seconds=0.2)
    content = video.read_bytes()
    # The encoder's name stands in every MP4; a byte of it that is no UTF-8 does not change any length.
    assert content.count(b"Lavf") == 1
    video.write_bytes(content.replace(b"Lavf", b"Lav\xe9"))
    with open_container(video) as container:
        assert container.streams.video
