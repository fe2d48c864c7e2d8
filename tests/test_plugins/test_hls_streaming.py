"""Videos as HLS streams: made, and downloaded as a whole from the oldest and newest servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cl_client import (
    ComputeClient,
    InvalidParameterError,
    InvalidResponseError,
    JobFileNotFoundError,
    JobFilesError,
    JSONObject,
)
from cl_client.local.samples import draw_video
from cl_client.plugins.hls_streaming import DEFAULT_VARIANTS, HlsVariant
from plugin_checks import check_fields, check_refused
from written_files_task import script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MASTER = b"""#EXTM3U\r
#EXT-X-STREAM-INF:BANDWIDTH=3500000\r
adaptive-720p-3500.m3u8\r
\r
#EXT-X-STREAM-INF:BANDWIDTH=1500000\r
low/adaptive-480p-1500.m3u8\r
"""
STREAM = {
    "output/adaptive.m3u8": MASTER,
    "output/adaptive-720p-3500.m3u8": b"\xef\xbb\xbf#EXTM3U\n#EXTINF:6,\na b-000.ts\n#EXTINF:2,\na b-001.ts",
    "output/a b-000.ts": b"720 0",
    "output/a b-001.ts": b"720 1",
    "output/low/adaptive-480p-1500.m3u8": b"#EXTM3U\n#EXTINF:8,\n480-000.ts\n#EXT-X-ENDLIST",
    "output/low/480-000.ts": b"480 0",
    "output/unnamed.ts": b"nobody wants this",
}
MISSING = {"output/a b-001.ts", "output/low/480-000.ts"}
ORIGINAL = {
    "output/adaptive-orig.m3u8": b"#EXTM3U\n#EXTINF:8,\nadaptive-orig-000.ts\n",
    "output/adaptive-orig-000.ts": b"orig 0",
}


@pytest.mark.parametrize("master", ["{job_folder}/output/adaptive.m3u8", "output/adaptive.m3u8", None])
async def test_a_stream_is_downloaded(
    writing_client: ComputeClient, tmp_path: Path, master: str | None, names_below: Callable[[Path], set[str]]
) -> None:
    content = script(STREAM, {"master_playlist": master, "include_original": False})
    job = await writing_client.hls_streaming.generate_manifest(content, wait=True)
    path = await writing_client.hls_streaming.download(job, tmp_path / "stream")
    assert (path, path.read_bytes()) == (tmp_path / "stream" / "adaptive.m3u8", MASTER)
    wanted = {name.removeprefix("output/") for name in STREAM if "unnamed" not in name}
    assert names_below(tmp_path / "stream") == {*wanted, "low"}
    assert (tmp_path / "stream" / "low" / "480-000.ts").read_bytes() == b"480 0"


async def test_the_original_is_part_of_the_stream(writing_client: ComputeClient, tmp_path: Path) -> None:
    content = script({**STREAM, **ORIGINAL}, {"include_original": True})
    job = await writing_client.hls_streaming.generate_manifest(content, include_original=True, wait=True)
    await writing_client.hls_streaming.download(job, tmp_path)
    assert (tmp_path / "adaptive-orig-000.ts").read_bytes() == b"orig 0"


async def test_a_stream_with_holes_is_not_downloaded(
    writing_client: ComputeClient, tmp_path: Path, names_below: Callable[[Path], set[str]]
) -> None:
    files = {path: content for path, content in STREAM.items() if path not in MISSING}
    job = await writing_client.hls_streaming.generate_manifest(script(files), wait=True)
    (tmp_path / "adaptive.m3u8").write_text("an earlier one")
    with pytest.raises(JobFilesError) as caught:
        await writing_client.hls_streaming.download(job, tmp_path)
    assert caught.value.failures.keys() == MISSING
    assert all(path in str(caught.value) for path in MISSING)
    assert caught.group_contains(JobFileNotFoundError, match="File not found")
    assert names_below(tmp_path) == {"adaptive.m3u8"}
    assert (tmp_path / "adaptive.m3u8").read_text() == "an earlier one"


@pytest.mark.parametrize(
    "uri",
    [
        "../../../../etc/passwd",
        "https://example.org/a.ts",
        "C:/a.ts",
        "..\\a.ts",
        "a\0.ts",
        "low/com1.ts",
    ],
)
async def test_a_hostile_playlist(
    writing_client: ComputeClient, tmp_path: Path, uri: str, names_below: Callable[[Path], set[str]]
) -> None:
    playlist = f"#EXTM3U\n#EXTINF:6,\n{uri}\n".encode()
    for path in ("output/adaptive.m3u8", "output/adaptive-720p-3500.m3u8"):
        job = await writing_client.hls_streaming.generate_manifest(
            script({**STREAM, path: playlist}), wait=True
        )
        with pytest.raises(InvalidResponseError, match="is not a path below a job"):
            await writing_client.hls_streaming.download(job, tmp_path)
    assert names_below(tmp_path) == set()


@pytest.mark.parametrize(
    ("playlist", "reason"),
    [
        (b"", "not an HLS playlist"),
        (b"<html>", "not an HLS playlist"),
        (b"\xff", "decode"),
        (b"#EXTM3U\n", "the playlist is empty"),
    ],
)
async def test_what_is_no_playlist(
    writing_client: ComputeClient, tmp_path: Path, playlist: bytes, reason: str
) -> None:
    files = {"output/adaptive.m3u8": playlist}
    job = await writing_client.hls_streaming.generate_manifest(script(files), wait=True)
    with pytest.raises(InvalidResponseError, match=reason):
        await writing_client.hls_streaming.download(job, tmp_path)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    draw_video(path, seconds=2)
    return path


async def test_from_the_file_to_the_result(live_client: ComputeClient, video: Path, tmp_path: Path) -> None:
    job = await live_client.hls_streaming.generate_manifest(video, include_original=True, wait=True)
    master = await live_client.hls_streaming.download(job, tmp_path / "stream")
    assert master.name == "adaptive.m3u8"
    assert len(list(master.parent.rglob("adaptive-*p-*.ts"))) == job.output.total_segments
    assert list(master.parent.rglob("adaptive-orig-*.ts"))
    assert len(list(master.parent.rglob("*.m3u8"))) == 2 + (job.output.variants_generated or 0)


async def test_variants_that_were_asked_for(live_client: ComputeClient, video: Path) -> None:
    variants = [HlsVariant(resolution=120, bitrate=150), HlsVariant(resolution=60, bitrate=100)]
    job = await live_client.hls_streaming.generate_manifest(video, variants=variants, wait=True)
    assert (job.output.variants_generated, job.output.include_original) == (2, False)
    assert live_client.hls_streaming.master_path(job) == "output/adaptive.m3u8"
    files = await live_client.hls_streaming.output_files(job)
    assert files[:3] == [
        "output/adaptive.m3u8",
        "output/adaptive-120p-150.m3u8",
        "output/adaptive-60p-100.m3u8",
    ]
    assert len(files) == 3 + (job.output.total_segments or 0)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        (
            {},
            {
                "variants": '[{"resolution":720,"bitrate":3500},{"resolution":480,"bitrate":1500}]',
                "include_original": "false",
            },
        ),
        (
            {"variants": [{"resolution": 1, "bitrate": 100}], "include_original": True},
            {"variants": '[{"resolution":1,"bitrate":100}]', "include_original": "true"},
        ),
    ],
)
async def test_what_is_sent(silent_client: ComputeClient, values: JSONObject, fields: dict[str, str]) -> None:
    check_fields(silent_client, "hls_streaming", values, fields)


@pytest.mark.parametrize(
    "values",
    [
        {"variants": []},
        {"variants": "not JSON"},
        {"variants": None},
        {"variants": [{"resolution": None, "bitrate": 3500}]},
        {"variants": [{"bitrate": 3500}]},
        {"variants": [{"resolution": 0, "bitrate": 3500}]},
        {"variants": [{"resolution": 720, "bitrate": 99}]},
        {"include_original": "perhaps"},
    ],
)
async def test_what_is_refused(silent_client: ComputeClient, values: JSONObject) -> None:
    check_refused(silent_client, "hls_streaming", values, *values)


async def test_nothing_is_sent_of_what_is_refused(silent_client: ComputeClient, tmp_path: Path) -> None:
    generate = silent_client.hls_streaming.generate_manifest
    with pytest.raises(InvalidParameterError, match=r"variants.*at least 1"):
        await generate(b"x", variants=())
    with pytest.raises(ValueError, match="greater than or equal to 100"):
        HlsVariant(resolution=720, bitrate=99)
    with pytest.raises(InvalidParameterError, match="empty"):
        await generate(b"", variants=DEFAULT_VARIANTS)
    with pytest.raises(InvalidParameterError, match=r"missing\.mp4"):
        await generate(tmp_path / "missing.mp4")
