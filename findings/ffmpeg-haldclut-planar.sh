#!/usr/bin/env bash
# PyAV 18.1.0 (PyPI) with its FFmpeg 8.1.2, numpy 2.4.6, on x86-64; FFmpeg 5.1.9 of Debian 12 does the same; 2026-11-30
#
# Behaviour: the filter haldclut exchanges the colour channels of pictures in planar RGB with integers (gbrp, gbrp10,
# gbrp16). With the identity table, which must change nothing, red comes out as blue, green as red, blue as green. The
# same table on packed RGB (rgb24, rgb48) and on planar RGB with floats (gbrpf32) changes nothing. FFmpeg says nothing,
# and chooses a planar format by itself where the input is a video in GBR, as many lossless ones are. The format of the
# table does not matter.
#
# The guess that missed: gbrp16 keeps the depth of 10-bit video, is the fastest of the formats that the filter takes,
# and gives what rgb48 gives.
#
# Seen (the colour 250, 128, 10 through the identity):
#   rgb24      250 128  10
#   rgb48le    250 128  10
#   gbrp       128  10 250
#   gbrp10le   128  10 250
#   gbrp16le   128  10 250
#   gbrpf32le  250 128  10
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check \
    av==18.1.0 numpy==2.4.6 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame

CLOCK = Fraction(1, 25)
steps, side = 16, 64
index = np.arange(steps**3)
colours = np.stack([index % steps, index // steps % steps, index // steps**2], axis=-1)
table = (colours * 65535 // (steps - 1)).astype(np.uint16).reshape(side, side, 3)
picture = np.full((16, 16, 3), (250, 128, 10), np.uint8)


def frame(pixels: np.ndarray, pixel_format: str) -> VideoFrame:
    made = VideoFrame.from_ndarray(pixels, format=pixel_format)
    made.pts, made.time_base = 0, CLOCK
    return made


def source(graph: Graph, size: int, pixel_format: str):
    return graph.add("buffer", width=str(size), height=str(size), pix_fmt=pixel_format, time_base="1/25")


def through_the_identity(pixel_format: str) -> str:
    graph = Graph()
    filter_ = graph.add("haldclut")
    graph.link_nodes(source(graph, 16, "rgb24"), graph.add("format", pixel_format), filter_)
    source(graph, side, "rgb48le").link_to(filter_, 0, 1)
    graph.link_nodes(filter_, graph.add("format", "rgb24"), graph.add("buffersink")).configure()
    graph.vpush(frame(table, "rgb48le"), 1)
    graph.vpush(None, 1)
    graph.vpush(frame(picture, "rgb24"), 0)
    return " ".join(f"{value:3}" for value in graph.vpull().to_ndarray()[8, 8])


same, exchanged = "250 128  10", "128  10 250"
expected = {
    "rgb24": same, "rgb48le": same, "gbrp": exchanged, "gbrp10le": exchanged, "gbrp16le": exchanged,
    "gbrpf32le": same,
}
seen = {pixel_format: through_the_identity(pixel_format) for pixel_format in expected}
for pixel_format, colour in seen.items():
    print(f"{pixel_format:10} {colour}")
sys.exit(0 if seen == expected else 1)
PYTHON
