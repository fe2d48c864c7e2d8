"""When the frames of an animation are shown, in the units of each format."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFAULT_MS: Final = 100
_FASTEST_SHOWN_MS: Final = 10
"""Browsers show frames that are as short as this, or shorter, for `_DEFAULT_MS`."""
_GIF_UNIT_MS: Final = 10
_GIF_SHORTEST: Final = 2
"""The shortest delay, in the unit of GIF, that browsers keep to."""
_GIF_LONGEST: Final = 0xFFFF
"""16 bits in the graphic control extension (GIF89a, 23)."""
_LATE: Final = 1 + 1e-6
"""How late a frame may be; it stands for 1, but sums of fractions are not exact."""
_WEBP_LONGEST_MS: Final = 0xFFFFFF
"""24 bits in a frame of WebP (RFC 9649, 2.7.1.1)."""
_PNG_LARGEST_NUMBER: Final = 0xFFFF
"""16 bits each for numerator and denominator of a delay (PNG, third edition, 11.3.6.2)."""


class TimedFrame(NamedTuple):
    """A frame that is written: its number in the source, and its duration in milliseconds."""

    number: int
    duration_ms: float


def source_duration_ms(duration: object, image_format: str | None) -> float:
    """Read how long a frame is shown.

    Args:
        duration: What the file says, in milliseconds.
        image_format: Pillow's name of the file's format.

    Returns:
        The duration: 100 ms for none, and for a GIF's 10 ms, as programs have always shown it.
    """
    fastest = _FASTEST_SHOWN_MS if image_format == "GIF" else 0
    return duration if isinstance(duration, int | float) and duration > fastest else _DEFAULT_MS


def schedule(durations_ms: Sequence[float], target: str) -> list[TimedFrame]:
    """Fit durations into the unit of a format. The sum is rounded and not each, so that no error adds up.

    Args:
        durations_ms: One for each frame.
        target: Pillow's name of the format.

    Returns:
        The frames to write. A GIF leaves out those that browsers could not show in time.
    """
    if target == "GIF":
        return _gif_schedule([ms if ms > _FASTEST_SHOWN_MS else _DEFAULT_MS for ms in durations_ms])
    if target == "PNG":
        return [TimedFrame(index, _png_duration_ms(ms)) for index, ms in enumerate(durations_ms)]
    ends = [round(end) for end in _running_sum(durations_ms)]
    return [
        TimedFrame(index, min(end - start, _WEBP_LONGEST_MS))
        for index, (start, end) in enumerate(pairwise([0, *ends]))
    ]


def _gif_schedule(durations_ms: Sequence[float]) -> list[TimedFrame]:
    times = [0.0, *(end / _GIF_UNIT_MS for end in _running_sum(durations_ms))]
    end = max(round(times[-1]), _GIF_SHORTEST)
    kept, starts = [0], [0]
    for index, time in enumerate(times[1:-1], start=1):
        start = max(round(time), starts[-1] + _GIF_SHORTEST)
        if start - time <= _LATE and start + _GIF_SHORTEST <= end + 1:  # no more than 10 ms late
            kept.append(index)
            starts.append(start)
    end = max(end, starts[-1] + _GIF_SHORTEST)
    return [
        TimedFrame(index, min(following - start, _GIF_LONGEST) * _GIF_UNIT_MS)
        for index, (start, following) in zip(kept, pairwise([*starts, end]), strict=True)
    ]


def _png_duration_ms(duration_ms: float) -> float:
    """Make it a fraction of two numbers of 16 bits: long ones in coarser steps."""
    for step in (1, 10, 100, 1000):
        if duration_ms <= _PNG_LARGEST_NUMBER * step:
            return duration_ms if step == 1 else round(duration_ms / step) * step
    return _PNG_LARGEST_NUMBER * 1000


def _running_sum(durations_ms: Sequence[float]) -> list[float]:
    total, ends = 0.0, list[float]()
    for duration in durations_ms:
        total += duration
        ends.append(total)
    return ends


def plays(loop: object, image_format: str | None) -> int:
    """Read how often an animation is shown.

    Args:
        loop: What the file says; None if it says nothing.
        image_format: Pillow's name of the file's format. A GIF counts the repeats after the first time.

    Returns:
        How often in all; 0 for ever.
    """
    if not isinstance(loop, int) or loop < 0:
        return 1 if image_format == "GIF" else 0  # an AVIF that says nothing goes on for ever
    return loop + 1 if image_format == "GIF" and loop else loop


def loop_option(times: int, target: str) -> dict[str, object]:
    """Make Pillow's option for how often an animation is shown.

    Args:
        times: How often in all; 0 for ever.
        target: Pillow's name of the format.

    Returns:
        The option; none for a GIF that is shown once.
    """
    if target == "PNG":
        return {"loop": times}
    if target == "WEBP":
        return {"loop": min(times, 0xFFFF)}
    return {} if times == 1 else {"loop": max(0, min(times - 1, 0xFFFF))}
