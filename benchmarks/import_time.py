"""The time of ``import cl_client``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from figures import Figure, medians

_OURS = "import cl_client"
_THEIRS = "import httpx, pydantic"


def _seconds(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - the code stands above
    return time.perf_counter() - begin


def measure(*, quick: bool) -> list[Figure]:
    """Measure all figures of this file.

    Args:
        quick: Use fewer turns.

    Returns:
        The figures.
    """
    turns = 3 if quick else 15
    samples = [[_seconds(code) for code in ("pass", _OURS, _THEIRS)] for _ in range(turns)]
    bare, ours, theirs = medians(samples)
    ratio = statistics.median((row[1] - row[0]) / (row[2] - row[0]) for row in samples)
    return [
        Figure(
            f"{_OURS}, against {_THEIRS}",
            ratio,
            "x",
            0.25,
            details={
                "interpreter ms": round(1000 * bare, 1),
                "cl_client ms": round(1000 * (ours - bare), 1),
                "httpx and pydantic ms": round(1000 * (theirs - bare), 1),
            },
        )
    ]
