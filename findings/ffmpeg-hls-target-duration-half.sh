#!/usr/bin/env bash
# FFmpeg 8.1.2 in PyAV 18.1.0, Python 3.11; 2026-11-30 (the same in FFmpeg 5.1.9 of Debian 12)
#
# Behaviour: FFmpeg's HLS muxer rounds a half to the even number when it writes EXT-X-TARGETDURATION. Segments of 4.5 s
# get a target duration of 4, and a playlist whose segments last half a second (12 frames at 24 per second) one of 0.
# By RFC 8216, 4.3.3.1, no segment may last longer than the target duration, when rounded to the nearest integer; and
# section 6.2.2 derives waiting times from it. Segments of 3.5 s get 4, so that a test with one value may not show it.
#
# The guess that missed: the target duration is the longest segment, rounded up, or at least 1.
#
# Seen:
#   segments of 0.5 s: EXT-X-TARGETDURATION:0
#   segments of 3.5 s: EXT-X-TARGETDURATION:4
#   segments of 4.5 s: EXT-X-TARGETDURATION:4
#   segments of 6.5 s: EXT-X-TARGETDURATION:6
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0
cat >"$folder/halves.py" <<'PYTHON'
import re
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame

folder = Path(__file__).parent
for seconds in (0.5, 3.5, 4.5, 6.5):
    playlist = folder / f"{seconds}.m3u8"
    frames = round(10 * seconds)
    with av.open(str(playlist), "w", format="hls", options={"hls_time": str(seconds)}) as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"x264-params": f"keyint={frames}:min-keyint={frames}:scenecut=0"}
        for number in range(3 * frames):
            frame = VideoFrame.from_bytes(bytes(64 * 48 * 4), 64, 48).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    text = playlist.read_text()
    assert {float(each) for each in re.findall(r"#EXTINF:([\d.]+)", text)} == {seconds}
    print(f"segments of {seconds} s:", re.findall(r"EXT-X-TARGETDURATION:\d+", text)[0])
PYTHON
seen=$("$folder/venv/bin/python" "$folder/halves.py")
echo "$seen"
[ "$seen" = "segments of 0.5 s: EXT-X-TARGETDURATION:0
segments of 3.5 s: EXT-X-TARGETDURATION:4
segments of 4.5 s: EXT-X-TARGETDURATION:4
segments of 6.5 s: EXT-X-TARGETDURATION:6" ]
