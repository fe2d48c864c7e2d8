"""Which streams of a video HLS streams are made of, and that what its edit list hides is in none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest
from av.stream import Disposition

from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from hls_playback import Stream, pixel, stream_of
from pictures import BLUE, GREEN, RED, assert_close
from scene_videos import (
    Scenes,
    Tones,
    cut_by_edit_list,
    disable_track,
    heard_in,
    joined_programs,
    write_video,
)

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("90p-300", "orig")
LOW, MIDDLE, HIGH = 500, 1000, 2000


def streaming(source: Path) -> Stream:
    params = HlsStreamingParams(variants=(HlsVariant(resolution=90, bitrate=300),), include_original=True)
    return stream_of(source, source.parent, params)


def assert_heard(stream: Stream, hz: int) -> None:
    for name in NAMES:
        heard = heard_in(stream.playlist(name))[1:-1]
        assert heard == [hz] * len(heard), name


def assert_seen(stream: Stream, *colours: tuple[int, int, int]) -> None:
    """Every frame of every segment has one of the colours."""
    for name in NAMES:
        for frame in stream.playlist(name).frames:
            seen = pixel(frame, 0.5, 0.5)
            assert any(
                sum(abs(a - b) for a, b in zip(seen, colour, strict=True)) < 60 for colour in colours
            ), name


@pytest.mark.parametrize("keyframe_every", [10, 50, 500])
@pytest.mark.parametrize("fragmented", [False, True], ids=["whole", "fragmented"])
def test_what_an_edit_list_hides_is_in_no_segment(
    tmp_path: Path, keyframe_every: int, *, fragmented: bool
) -> None:
    video = Scenes([(RED, 2), (GREEN, 3), (BLUE, 2)], keyframe_every=keyframe_every)
    sound = Tones([(LOW, 2), (MIDDLE, 3), (HIGH, 2)])
    flags = "frag_keyframe+delay_moov" if fragmented else "faststart"
    source = write_video(tmp_path / "trimmed.mp4", video, sound, movflags=flags)
    stream = streaming(cut_by_edit_list(source, 2, 3))
    # FFmpeg does not apply the end of an edit list to fragmented files, and nobody is known to write one.
    hidden_end = (BLUE,) if fragmented else ()
    assert_seen(stream, GREEN, *hidden_end)
    for name in NAMES:
        played = stream.playlist(name)
        assert_close(pixel(played.frames[0], 0.5, 0.5), GREEN, 24)
        assert len(played.frames) == (125 if fragmented else 75)
        heard = heard_in(played)
        assert heard[1:29] == [MIDDLE] * 28
        assert (HIGH in heard) == fragmented
        assert LOW not in heard
    assert stream.warnings == [
        "the original is encoded again, without the parts that the file's edit list hides"
    ]


def test_sound_that_an_edit_list_hides_is_in_no_segment(tmp_path: Path) -> None:
    video = Scenes([(GREEN, 1), (BLUE, 2)], keyframe_every=1)
    source = write_video(tmp_path / "trimmed.mp4", video, Tones([(LOW, 1), (MIDDLE, 2)]))
    stream = streaming(cut_by_edit_list(source, 1, 2))
    assert_seen(stream, BLUE)
    assert_heard(stream, MIDDLE)


def test_the_delay_of_an_encoder_is_no_hidden_part(tmp_path: Path) -> None:
    source = write_video(tmp_path / "whole.mp4", Scenes([(GREEN, 2)]), Tones([(MIDDLE, 2)]))
    with av.open(str(source)) as container:
        assert any(entry.is_discard for entry in container.streams.audio[0].index_entries)
    stream = streaming(source)
    assert stream.warnings == []
    with av.open(str(stream.folder / "adaptive-orig-000.ts")) as container:
        assert container.streams.audio[0].layout.name == "mono", "encoded again"


COMMENTARY = Disposition.default | Disposition.comment


@pytest.mark.parametrize(
    ("file_name", "sounds", "heard"),
    [
        # FFmpeg's "best" is the one with the highest bit rate.
        ("clip.mp4", [Tones([(LOW, 2)]), Tones([(HIGH, 2)], bit_rate=256_000, layout="stereo")], LOW),
        ("clip.mkv", [Tones([(LOW, 2)]), Tones([(HIGH, 2)], bit_rate=256_000, layout="stereo")], LOW),
        ("clip.ts", [Tones([(LOW, 2)]), Tones([(HIGH, 2)], bit_rate=256_000, layout="stereo")], LOW),
        ("clip.mkv", [Tones([(LOW, 2)], disposition=Disposition(0)), Tones([(HIGH, 2)])], HIGH),
        ("clip.mkv", [Tones([(LOW, 2)], disposition=COMMENTARY), Tones([(HIGH, 2)])], HIGH),
    ],
)
def test_the_sound_is_the_first_of_the_main_ones(
    tmp_path: Path, file_name: str, sounds: list[Tones], heard: int
) -> None:
    assert_heard(streaming(write_video(tmp_path / file_name, Scenes([(RED, 2)]), *sounds)), heard)


def test_a_disabled_track_is_not_played(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", Scenes([(RED, 2)]), Tones([(LOW, 2)]), Tones([(HIGH, 2)]))
    assert_heard(streaming(disable_track(source, 1)), HIGH)


def test_sound_of_another_program_is_not_played(tmp_path: Path) -> None:
    news = write_video(tmp_path / "1.ts", Scenes([(RED, 2)]), Tones([(LOW, 2)]), mpegts_service_id="1")
    sport = write_video(
        tmp_path / "2.ts",
        Scenes([(BLUE, 2)]),
        Tones([(HIGH, 2)], bit_rate=256_000, layout="stereo"),
        mpegts_service_id="2",
        mpegts_start_pid="0x200",
        mpegts_pmt_start_pid="0x1001",
    )
    stream = streaming(joined_programs(tmp_path / "tuner.ts", {1: (0x1000, news), 2: (0x1001, sport)}))
    assert_seen(stream, RED)
    assert_heard(stream, LOW)


def test_a_program_without_sound_stays_silent(tmp_path: Path) -> None:
    camera = write_video(tmp_path / "1.ts", Scenes([(RED, 2)]), mpegts_service_id="1")
    sport = write_video(
        tmp_path / "2.ts",
        Scenes([(BLUE, 2)]),
        Tones([(HIGH, 2)]),
        mpegts_service_id="2",
        mpegts_start_pid="0x200",
        mpegts_pmt_start_pid="0x1001",
    )
    stream = streaming(joined_programs(tmp_path / "tuner.ts", {1: (0x1000, camera), 2: (0x1001, sport)}))
    assert_seen(stream, RED)
    assert stream.playlist("orig").sound_seconds == 0
    assert stream.warnings == []


def test_sound_without_a_decoder_is_left_out(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mkv", Scenes([(RED, 2)]), Tones([(LOW, 2)], codec="flac"))
    source.write_bytes(source.read_bytes().replace(b"A_FLAC", b"A_NONE"))
    stream = streaming(source)
    for name in NAMES:
        played = stream.playlist(name)
        assert len(played.frames) == 50
        assert played.sound_seconds == 0
    assert stream.warnings == ["the audio is left out, as its codec is not supported"]
    assert "mp4a" not in stream.master


def test_another_sound_is_played_if_the_first_has_no_decoder(tmp_path: Path) -> None:
    sounds = Tones([(LOW, 2)], codec="flac"), Tones([(HIGH, 2)])
    source = write_video(tmp_path / "clip.mkv", Scenes([(RED, 2)]), *sounds)
    source.write_bytes(source.read_bytes().replace(b"A_FLAC", b"A_NONE"))
    assert_heard(streaming(source), HIGH)


def test_damaged_frames_are_told(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mkv", Scenes([(RED, 4)]), Tones([(LOW, 4)], codec="flac"))
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    content = bytearray(source.read_bytes())
    for packet in packets[10:13]:
        at = content.index(bytes(packet))
        content[at : at + 12] = bytes(12)
    source.write_bytes(content)
    stream = streaming(source)
    assert stream.warnings == ["parts of the audio are damaged (3 packets): they are left out or show errors"]
    assert stream.playlist("90p-300").sound_seconds == pytest.approx(4, abs=0.1)


def test_damaged_packets_of_a_recording_are_told(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.ts", Scenes([(RED, 4)], keyframe_every=10), Tones([(LOW, 4)]))
    content = bytearray(source.read_bytes())
    for start in range(len(content) // 2 // 188 * 188, len(content) * 6 // 10, 188):
        content[start + 1 : start + 188] = bytes(187)
    source.write_bytes(content)
    stream = streaming(source)
    assert any("of the video are damaged" in warning for warning in stream.warnings)
    assert stream.playlist("90p-300").duration == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("with_tags", [True, False])
def test_subtitles_may_last_longer_than_the_video(tmp_path: Path, *, with_tags: bool) -> None:
    source = write_video(tmp_path / "film.mkv", Scenes([(RED, 3)]), Tones([(LOW, 3)]), subtitle_end=58)
    if not with_tags:
        source.write_bytes(source.read_bytes().replace(b"DURATION", b"whatever"))
    with av.open(str(source)) as container:
        assert container.duration == 58_000_000
    stream = streaming(source)
    for name in NAMES:
        assert stream.playlist(name).duration == pytest.approx(3, abs=0.1)
    assert stream.warnings == []
