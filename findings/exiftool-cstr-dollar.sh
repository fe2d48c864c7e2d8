#!/usr/bin/env bash
# ExifTool 13.59 (npm exiftool-vendored.pl 13.59.3; 12.57 does the same), Perl 5.36; 2026-11-30
#
# Behaviour: in an argument file, a line "#[CSTR]..." is a C string, the documented way to pass file names with line
# breaks. A "$" or "@" in it is given a backslash that is not removed again, whether it was written plainly or as "\$". So
# no file whose name has one of these together with a line break can be named in an argument file, and so none to an
# ExifTool that stays open. A double quote and a backslash come through.
#
# The guess that missed: what is not an escape sequence of C stands for itself.
#
# Seen:
#   plain$name.jpg  by #[CSTR]: Error: File not found - plain\$name.jpg
#   plain\$name.jpg by #[CSTR]: Error: File not found - plain\$name.jpg
#   plain@name.jpg  by #[CSTR]: Error: File not found - plain\@name.jpg
#   plain$name.jpg  by a plain line: plain$name.jpg
#   two\nlines.jpg  by #[CSTR]: two.lines.jpg
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent exiftool-vendored.pl@13.59.3 >/dev/null
tar xzf exiftool-vendored.pl-13.59.3.tgz
for name in 'plain$name.jpg' 'plain@name.jpg' $'two\nlines.jpg'; do
    printf '\xff\xd8\xff\xfe\x00\x07Hello\xff\xd9' >"$name"
done

read_by() {
    printf '%s\n' -s3 -FileName "$1" >arguments
    perl package/bin/exiftool -config '' -@ arguments 2>&1 || true
}

plain=$(read_by '#[CSTR]plain$name.jpg')
escaped=$(read_by '#[CSTR]plain\$name.jpg')
at=$(read_by '#[CSTR]plain@name.jpg')
by_line=$(read_by 'plain$name.jpg')
lines=$(read_by '#[CSTR]two\nlines.jpg')
echo "plain\$name.jpg  by #[CSTR]: $plain"
echo "plain\\\$name.jpg by #[CSTR]: $escaped"
echo "plain@name.jpg  by #[CSTR]: $at"
echo "plain\$name.jpg  by a plain line: $by_line"
echo "two\\nlines.jpg  by #[CSTR]: $lines"
[ "$plain" = 'Error: File not found - plain\$name.jpg' ] && [ "$escaped" = "$plain" ] &&
    [ "$at" = 'Error: File not found - plain\@name.jpg' ] && [ "$by_line" = 'plain$name.jpg' ] &&
    [ "$lines" = 'two.lines.jpg' ]
