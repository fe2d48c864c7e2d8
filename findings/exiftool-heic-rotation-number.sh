#!/usr/bin/env bash
# ExifTool 12.84 and 12.89 (npm: exiftool-vendored.pl 12.84.0, 12.89.0); 2026-11-30
#
# Behaviour: with -n, ExifTool gives the Rotation of a HEIC or AVIF (the property irot) in other units since 12.85. A file
# whose irot is 3 has the Rotation 270 before and 3 after. Neither is what a reader of the name would take it for: the
# first is in degrees anticlockwise, the second a number of quarters anticlockwise, and both mean "turn by 90 degrees
# clockwise", EXIF orientation 6. The Rotation of an MP4 stays in degrees clockwise. The documentation of -n says that
# values are not converted for printing, which users rely on for numbers that programs read.
#
# The guess that missed: a number from -n keeps its unit from version to version, and both kinds of Rotation agree.
#
# Seen:
#   12.84  Rotation 270
#   12.89  Rotation 3
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for version in 12.84.0 12.89.0; do
    mkdir "$version"
    (cd "$version" && npm pack --silent "exiftool-vendored.pl@$version" >/dev/null && tar xzf ./*.tgz)
done
python3 - <<'PYTHON'
import struct


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind, *parts, version=0):
    return box(kind, bytes([version, 0, 0, 0]), *parts)


ispe = full(b"ispe", struct.pack(">II", 640, 320))
irot = box(b"irot", b"\3")
ipma = full(b"ipma", struct.pack(">IHB", 1, 1, 2), b"\x01\x82")
item = full(b"infe", struct.pack(">HH4s", 1, 0, b"hvc1"), b"\0", version=2)
meta = full(
    b"meta",
    full(b"hdlr", bytes(4), b"pict", bytes(13)),
    full(b"pitm", struct.pack(">H", 1)),
    full(b"iinf", struct.pack(">H", 1), item),
    box(b"iprp", box(b"ipco", ispe, irot), ipma),
)
with open("turned.heic", "wb") as file:
    file.write(box(b"ftyp", b"heic", bytes(4), b"mif1heic") + meta)
PYTHON

rotation() {
    perl "$1/package/bin/exiftool" -config "" -n -s3 -Rotation turned.heic
}
before=$(rotation 12.84.0)
after=$(rotation 12.89.0)
echo "12.84  Rotation $before"
echo "12.89  Rotation $after"
[[ $before == 270 && $after == 3 ]] || { echo "the behaviour has changed"; exit 1; }
