#!/usr/bin/env bash
# FFmpeg 8.1.2 in PyAV 18.1.0, Python 3.11; 2026-11-30
#
# Behaviour: `first_pts` of the filter aresample (and of libswresample) is counted in samples of the input, also where
# the filter changes the sample rate. The documentation says "The time unit is 1 / sample rate" and that it "allows for
# padding/trimming at the start of stream". So a filter from 44.1 to 48 kHz that shall start at sample 48000 of its
# output (1 s) starts at 52245: sound that is continued this way, after a change of its format, is 9 % of its position
# late. No warning is given, and at equal rates all is right.
#
# The guess that missed: what is padded or trimmed is the output, so the time unit is a sample of the output.
#
# Seen:
#   48000 Hz to 48000 Hz, first_pts 48000   starts at 48000
#   44100 Hz to 48000 Hz, first_pts 48000   starts at 52245
#   44100 Hz to 48000 Hz, first_pts 44100   starts at 48000
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0
cat >"$folder/first_pts.py" <<'PYTHON'
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler


def second_second(rate):
    """One second of silence that starts at 1 s."""
    frame = AudioFrame(format="fltp", layout="mono", samples=rate)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), rate
    return frame


for rate, first_pts in (48000, 48000), (44100, 48000), (44100, 44100):
    resampler = AudioResampler(format="fltp", layout="mono", rate=48000, options={"first_pts": str(first_pts)})
    frames = [*resampler.resample(second_second(rate)), *resampler.resample(None)]
    print(f"{rate} Hz to 48000 Hz, first_pts {first_pts}   starts at {frames[0].pts}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/first_pts.py")
echo "$seen"
[ "$seen" = "48000 Hz to 48000 Hz, first_pts 48000   starts at 48000
44100 Hz to 48000 Hz, first_pts 48000   starts at 52245
44100 Hz to 48000 Hz, first_pts 44100   starts at 48000" ]
