#!/usr/bin/env bash
# Pillow 13.0.0 (PyPI); 2026-12-01
#
# Behaviour: the sRGB profile that ImageCms.createProfile("sRGB") returns has the present time in its header, and
# Image.convert() of a Lab image adds such a profile to the result, which PNG, WebP and TIFF then save. So the same
# image converted twice gives files that differ, in one byte if it is done twice in a minute. A conversion by
# ImageCms.profileToProfile to a created profile does the same.
#
# The guess that missed: converting the same pixels with the same version of Pillow gives the same bytes, as no
# argument and no input holds a time.
#
# Seen:
#   PNGs of one Lab image, saved two seconds apart     same pixels; profiles of 588 bytes, which differ at byte 35
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check pillow==13.0.0 \
    >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }
cat >"$folder/look.py" <<'EOF'
import io
import sys
import time

from PIL import Image


def converted() -> tuple[bytes, bytes]:
    content = io.BytesIO()
    Image.new("LAB", (8, 8), (128, 140, 120)).convert("RGB").save(content, "PNG")
    with Image.open(io.BytesIO(content.getvalue())) as image:
        return image.tobytes(), image.info["icc_profile"]


(pixels, profile), _, (later_pixels, later_profile) = converted(), time.sleep(2), converted()
different = [at for at, (a, b) in enumerate(zip(profile, later_profile, strict=True)) if a != b]
print("same pixels" if pixels == later_pixels else "other pixels", len(profile), "bytes, different at", different)
# The seconds are at 34 and 35, the minutes at 32 and 33, and so on (ICC.1, 7.2.8).
sys.exit(pixels != later_pixels or not different or not 24 <= min(different) <= max(different) < 36)
EOF
"$folder/venv/bin/python" "$folder/look.py" || { echo "this has changed"; exit 1; }
