#!/usr/bin/env bash
# Pillow 13.0.0 (PyPI); 2026-11-30
#
# Behaviour: load() of a PNG whose compressed data are damaged raises OSError("broken data stream when reading image
# file"). The next load() succeeds, and the picture is black from the damage on. getexif() of a PNG loads the pixels, as
# EXIF may stand behind them, so it is often that first load(): a program that goes on without EXIF when getexif() fails
# gets a half-black picture afterwards, and no error. A truncated PNG raises each time.
#
# The guess that missed: an image that could not be loaded stays unloaded, so each use of its pixels raises.
#
# Seen:
#   damaged PNG, load() three times     OSError, loaded, loaded; last pixel (0, 0, 0) in place of (200, 200, 200)
#   the same through getexif()          OSError, then convert() gives (0, 0, 0)
#   truncated PNG, load() three times   OSError, OSError, OSError
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check pillow==13.0.0 \
    >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }
cat >"$folder/look.py" <<'EOF'
import io
import random
import sys

from PIL import Image

pixels = random.Random(1).randbytes(320 * 239 * 3) + bytes([200]) * 320 * 3
content = io.BytesIO()
Image.frombytes("RGB", (320, 240), pixels).save(content, "PNG")
damaged = bytearray(content.getvalue())
damaged[len(damaged) // 2] ^= 0xFF


def tried(call):
    try:
        call()
    except OSError:
        return "OSError"
    return "loaded"


with Image.open(io.BytesIO(damaged)) as image:
    first = [tried(image.load) for _ in range(3)]
    pixel = image.getpixel((319, 239))
    print("damaged PNG, load() three times:", *first, pixel)
with Image.open(io.BytesIO(damaged)) as image:
    exif = tried(image.getexif)
    converted = image.convert("RGB").getpixel((319, 239))
    print("damaged PNG, getexif() and convert():", exif, converted)
with Image.open(io.BytesIO(content.getvalue()[: len(damaged) // 2])) as image:
    truncated = [tried(image.load) for _ in range(3)]
    print("truncated PNG, load() three times:", *truncated)
black = (0, 0, 0)
seen = (first, pixel, exif, converted, truncated)
sys.exit(seen != (["OSError", "loaded", "loaded"], black, "OSError", black, ["OSError"] * 3))
EOF
"$folder/venv/bin/python" "$folder/look.py" || { echo "this has changed"; exit 1; }
