#!/usr/bin/env bash
# FFmpeg 8.1.2 in PyAV 18.1.0, Python 3.11; 2026-11-30
#
# Behaviour: FFmpeg cannot open an HLS stream that FFmpeg wrote, without any error, if its first segment has fewer than
# about ten packets of MPEG-TS: two or three small frames without sound. The file is not recognized as MPEG-TS. The
# segment is right: named as mpegts, it opens, and it is recognized with a dozen null packets at its end. Besides, the
# muxer's own master playlist names no variant for a stream of up to half a second, which is no error either.
#
# The guess that missed: what FFmpeg's muxer writes, its demuxer reads.
#
# Seen:
#   playlist                          InvalidDataError
#   segment                           EOFError
#   segment, as mpegts                2 frames
#   playlist, null packets appended   2 frames
#   variants in the master playlist   0
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0
cat >"$folder/two_frames.py" <<'PYTHON'
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError
from av.video.frame import VideoFrame

folder = Path(__file__).parent
playlist, segment = folder / "stream.m3u8", folder / "stream-0.ts"
options = {
    "hls_playlist_type": "vod",
    "hls_segment_filename": str(folder / "stream-%d.ts"),
    "master_pl_name": "master.m3u8",
}
with av.open(str(playlist), "w", format="hls", options=options) as container:
    video = container.add_stream("libx264", rate=25)
    video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
    for number in range(2):
        frame = VideoFrame.from_bytes(bytes(160 * 90 * 4), 160, 90).reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        container.mux(video.encode(frame))
    container.mux(video.encode(None))


def opened(name, path, form=None):
    try:
        with av.open(str(path), format=form) as container:
            result = f"{len(list(container.decode(video=0)))} frames"
    except FFmpegError as exc:
        result = type(exc).__name__
    print(f"{name:33} {result}")


opened("playlist", playlist)
opened("segment", segment)
opened("segment, as mpegts", segment, "mpegts")
segment.write_bytes(segment.read_bytes() + (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 12)
opened("playlist, null packets appended", playlist)
master = (folder / "master.m3u8").read_text()
print(f"{'variants in the master playlist':33} {master.count('#EXT-X-STREAM-INF')}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/two_frames.py")
echo "$seen"
[ "$seen" = "playlist                          InvalidDataError
segment                           EOFError
segment, as mpegts                2 frames
playlist, null packets appended   2 frames
variants in the master playlist   0" ]
