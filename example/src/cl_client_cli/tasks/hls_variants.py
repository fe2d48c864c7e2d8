"""The qualities of a stream, as they are written on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.plugins.hls_streaming import HlsVariant
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse_variants(texts: Sequence[str]) -> tuple[HlsVariant, ...]:
    """Read ``HEIGHT:KBITS``, for instance ``720:3500``.

    Raises:
        UsageError: One is something else.
    """
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> HlsVariant:
    height, _, kbits = text.partition(":")
    try:
        return HlsVariant(resolution=int(height), bitrate=int(kbits))
    except ValueError:
        raise UsageError(
            f"--variant {text}: write HEIGHT:KBITS, the height above 0 and at least 100 kbit/s, "
            "for instance 720:3500"
        ) from None
