#!/usr/bin/env bash
# Pillow 13.0.0, Python 3.11; 2026-11-30
#
# Behaviour: big-endian 16-bit grey, mode I;16B (as a big-endian TIFF is opened), converted straight to I;16 has every
# value above 255 clipped to 255: no error, no warning, and a picture that is nearly all of one grey. The way over mode I
# keeps the values. Only the byte order differs between the two modes, and most formats can be saved from I;16 but not from
# I;16B, so this is the conversion that one writes before saving.
#
# The guess that missed: convert("I;16") of an I;16B image swaps the bytes and keeps the values.
#
# Seen:
#   opened as I;16B: 1 255 256 513 65534
#   to I;16: 1 255 255 255 255
#   to I, then to I;16: 1 255 256 513 65534
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import struct
import sys

from PIL import Image

values = (1, 255, 256, 513, 65534)
fields = [
    (256, 4, len(values)), (257, 4, 1), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
    (278, 4, 1), (279, 4, 2 * len(values)),
]  # fmt: skip
tiff = b"MM" + struct.pack(">HI", 42, 18) + struct.pack(">5H", *values) + struct.pack(">H", len(fields))
for tag, kind, value in fields:
    tiff += struct.pack(">HHI", tag, kind, 1) + (struct.pack(">Hxx", value) if kind == 3 else struct.pack(">I", value))
tiff += bytes(4)


def row(image: Image.Image) -> str:
    return " ".join(str(image.getpixel((x, 0))) for x in range(len(values)))


with Image.open(io.BytesIO(tiff)) as image:
    seen = [
        f"opened as {image.mode}: {row(image)}",
        f"to I;16: {row(image.convert('I;16'))}",
        f"to I, then to I;16: {row(image.convert('I').convert('I;16'))}",
    ]
print("\n".join(seen))
as_stated = [
    "opened as I;16B: 1 255 256 513 65534",
    "to I;16: 1 255 255 255 255",
    "to I, then to I;16: 1 255 256 513 65534",
]
sys.exit(0 if seen == as_stated else 1)
PYTHON
