#!/usr/bin/env bash
# puremagic 1.30, Python 3.11 (2.2.0 on Python 3.12 does the same); 2026-11-30
#
# Behaviour: for files of the ISO base media format, the length of the list of brands comes before the brands. Where the
# box "ftyp" has 28 bytes, which is a major brand and three compatible ones, puremagic says video/mp4, whatever they are.
# With other lengths, the same AVIF or HEIC file is an image. So one more brand, as encoders add for each profile that a
# picture conforms to, makes it a video. The confidence is 0.8 for the right and for the wrong answer.
#
# The guess that missed: the major brand, at a fixed place and the only thing that tells such files apart, is compared.
#
# Seen:
#   avif, 2 compatible brands: image/avif 0.8
#   avif, 3 compatible brands: video/mp4 0.8
#   avif, 4 compatible brands: image/avif 0.8
#   heic, 2 compatible brands: image/heif 0.8
#   heic, 3 compatible brands: video/mp4 0.8
#   heic, 4 compatible brands: image/heif 0.8
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q puremagic==1.30 2>/dev/null
cat >"$folder/ask.py" <<'PYTHON'
import puremagic

right = {b"avif": "image/avif", b"heic": "image/heif"}
for major, expected in right.items():
    for count in (2, 3, 4):
        compatible = [major, b"mif1", b"miaf", b"tmap"][:count]
        box = b"ftyp" + major + bytes(4) + b"".join(compatible)
        content = (4 + len(box)).to_bytes(4, "big") + box + b"\0\0\0\x08free"
        best = puremagic.magic_string(content)[0]
        print(f"{major.decode()}, {count} compatible brands: {best.mime_type} {best.confidence}")
        assert best.mime_type == ("video/mp4" if count == 3 else expected)
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
