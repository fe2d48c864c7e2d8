#!/usr/bin/env bash
# Pillow 13.0.0, tifffile 2026.3.3, numpy 2.4.6 (PyPI); 2026-11-30
#
# Behaviour: Pillow opens two kinds of valid TIFF with 16 bits per channel without an error or a warning, and wrong.
# RGB in separate planes (PlanarConfiguration 2) comes out as noise if it is not compressed: the planes are read with
# 8 bits. The same picture compressed with Deflate, which libtiff decodes, is right, and so is one with 8 bits. Grey whose
# zero is white (PhotometricInterpretation 0) comes out as a negative; with 8 bits it is inverted, as it should be.
#
# The guess that missed: what Pillow cannot read it refuses ("unknown pixel mode"), so an image that opens is right; and
# an uncompressed file is the easier case.
#
# Seen (mean difference from the picture that was written, 0 to 255):
#   16 bits, separate planes, not compressed   42.5
#   16 bits, separate planes, Deflate          0.0
#   8 bits, separate planes, not compressed    0.0
#   16 bits, zero is white                     127.5
#   8 bits, zero is white                      0.0
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6 \
    >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }
cat >"$folder/look.py" <<'EOF'
import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

file = Path(sys.argv[1]) / "picture.tif"
rows, columns = np.mgrid[0:120, 0:160]
grey = (columns * 255 // 160).astype("u1")
colours = np.stack([grey, (rows * 255 // 120).astype("u1"), np.full_like(grey, 100)])


def difference(picture, expected, scale, **options):
    tifffile.imwrite(file, picture, **options)
    with Image.open(file) as image:
        seen = np.asarray(image).astype(float)
    if image.mode == "I;16":
        seen /= scale
    return round(float(np.abs(seen - expected).mean()), 1)


def planes(bits, **options):
    stored = colours if bits == 8 else colours.astype("u2") * 257
    return difference(
        stored, colours.transpose(1, 2, 0), 257, photometric="rgb", planarconfig="separate", **options
    )


white = {"photometric": "miniswhite"}
found = {
    "16 bits, separate planes, not compressed": planes(16),
    "16 bits, separate planes, Deflate": planes(16, compression="zlib"),
    "8 bits, separate planes, not compressed": planes(8),
    "16 bits, zero is white": difference(65535 - grey.astype("u2") * 257, grey, 257, **white),
    "8 bits, zero is white": difference(255 - grey, grey, 1, **white),
}
for name, value in found.items():
    print(f"{name}: {value}")
noise, deflate, eight, negative, eight_white = found.values()
sys.exit(not (noise > 20 and negative > 100 and deflate == eight == eight_white == 0))
EOF
"$folder/venv/bin/python" "$folder/look.py" "$folder" || { echo "this has changed"; exit 1; }
