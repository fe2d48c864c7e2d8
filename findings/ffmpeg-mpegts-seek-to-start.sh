#!/usr/bin/env bash
# PyAV 18.1.0 (PyPI) with its FFmpeg 8.1.2; 2026-11-30
#
# Behaviour: an MPEG-TS file of H.264 with B-frames and one keyframe, its first frame. Sought to container.start_time,
# the time of that first frame, not one frame can be decoded, though it is a seek backward, which PyAV documents as to
# the nearest keyframe before. MPEG-TS is sought by decoding time, and to any packet, not to a keyframe: the
# first frame is decoded before it is shown, so the packets whose decoding times are at its time of display come after
# it. Any later seek ends behind the keyframe as well. The same stream in MP4, which has an index, is found.
# Sought to 0, which is before everything, all frames are there.
#
# The guess that missed: seeking to the start time of a file leads to its start.
#
# Seen (frames that can be decoded, of 50):
#   ts   not sought 50, sought to the start time 0, to 0 s 50
#   mp4  not sought 50, sought to the start time 50, to 0 s 50
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check \
    av==18.1.0 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }

"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame

folder = Path(sys.argv[1])


def write(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.options = {"bf": "2", "g": "250"}
        for index in range(50):
            frame = VideoFrame(320, 240, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([index * 5]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decoded(path: Path, seek: str) -> int:
    with av.open(str(path)) as container:
        if seek:
            container.seek(container.start_time if seek == "start" else 0)
        return sum(1 for _ in container.decode(video=0))


seen = {}
for kind in ("ts", "mp4"):
    path = folder / f"clip.{kind}"
    write(path)
    seen[kind] = tuple(decoded(path, seek) for seek in ("", "start", "zero"))
    plain, start, zero = seen[kind]
    print(f"{kind:4} not sought {plain}, sought to the start time {start}, to 0 s {zero}")
sys.exit(0 if seen == {"ts": (50, 0, 50), "mp4": (50, 50, 50)} else 1)
PYTHON
