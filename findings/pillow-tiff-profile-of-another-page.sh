#!/usr/bin/env bash
# Pillow 13.0.0, Python 3.11; 2026-11-30
#
# Behaviour: in a TIFF of several pages, info["icc_profile"] of a page without a profile is that of the last page before it
# that has one. Going back does not help: what it says depends on the pages that were seen, so the same page has a profile
# or none. XMP is not affected: info["xmp"] goes when a page has none. Saving such a page writes the foreign profile, and
# its colours are shown wrong, since save() takes the profile from info. tag_v2[34675] is right on every page.
#
# The guess that missed: after seek(), info describes the page that was sought, as it does for XMP.
#
# Seen:
#   page 0, page 2: none; page 2 after page 1: a profile; its tag: none
#   page 2 saved as PNG: a profile
#   XMP of page 2 after page 1: none
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

from PIL import Image, ImageCms, TiffImagePlugin

profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
buffer = io.BytesIO()
with TiffImagePlugin.AppendingTiffWriter(buffer) as pages:
    for number in range(3):
        options = {"icc_profile": profile, "tiffinfo": {700: b"<x/>"}} if number == 1 else {}
        Image.new("RGB", (8, 8)).save(pages, "TIFF", **options)
        pages.newFrame()


def said(image: Image.Image) -> str:
    return "a profile" if image.info.get("icc_profile") else "none"


with Image.open(buffer) as image:
    first = said(image)
    image.seek(2)
    straight = said(image)
    image.seek(1)
    image.seek(2)
    image.load()
    after = said(image)
    tag = "a profile" if 34675 in image.tag_v2 else "none"
    saved = io.BytesIO()
    image.save(saved, "PNG")
    with Image.open(saved) as again:
        written = said(again)
    xmp = "some" if image.info.get("xmp") else "none"
seen = [
    f"page 0, page 2: {first if first == straight else (first, straight)}; page 2 after page 1: {after}; its tag: {tag}",
    f"page 2 saved as PNG: {written}",
    f"XMP of page 2 after page 1: {xmp}",
]
print("\n".join(seen))
as_stated = [
    "page 0, page 2: none; page 2 after page 1: a profile; its tag: none",
    "page 2 saved as PNG: a profile",
    "XMP of page 2 after page 1: none",
]
sys.exit(0 if seen == as_stated else 1)
PYTHON
