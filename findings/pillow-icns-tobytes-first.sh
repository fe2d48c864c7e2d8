#!/usr/bin/env bash
# Pillow 13.0.0 (PyPI); 2026-11-30
#
# Behaviour: tobytes() looks at the image's mode before it loads the pixels. Loading an ICNS whose picture is RGB turns
# the mode from RGBA to RGB. So the first tobytes() of an open file gives four bytes for each pixel, and the second one
# three; image.mode is RGB after either. A hash of "the pixels" depends on whether load() was called before.
#
# The guess that missed: tobytes() loads the image, so calling load() before it changes nothing.
#
# Seen:
#   tobytes() of an ICNS of 1024 x 1024 pixels, twice     4194304, 3145728 bytes; mode RGB
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check pillow==13.0.0 \
    >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }
cat >"$folder/look.py" <<'EOF'
import io
import sys

from PIL import Image

content = io.BytesIO()
Image.new("RGB", (32, 32), "red").save(content, "ICNS")
with Image.open(io.BytesIO(content.getvalue())) as image:
    seen = (image.mode, len(image.tobytes()), len(image.tobytes()), image.mode)
print(*seen)
sys.exit(seen != ("RGBA", 4 * 1024**2, 3 * 1024**2, "RGB"))
EOF
"$folder/venv/bin/python" "$folder/look.py" || { echo "this has changed"; exit 1; }
