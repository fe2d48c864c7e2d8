"""The variants of a stream, as given on the command line and in specifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from pydantic import ValidationError

from cl_client.plugins.hls_streaming import HlsVariant
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RULE: Final = (
    "must be HEIGHT:KBITS with a height above 0 and at least 100 kbit/s, for instance 720:3500; "
    "in a specification also {height: 720, bitrate: 3500}"
)


def parse_variants(texts: Sequence[str]) -> tuple[HlsVariant, ...]:
    """Parse variants of the form ``HEIGHT:KBITS``, for instance ``720:3500``.

    Args:
        texts: The variants.

    Returns:
        The parsed variants.

    Raises:
        UsageError: A variant is invalid.
    """
    return tuple(map(_parse, texts))


def read_variants(value: object) -> object:
    """Parse one or many variants of a specification; JSON text is returned as it is.

    Args:
        value: Texts separated by commas or spaces, or a list of texts or of mappings with the fields of
            `HlsVariant`.

    Returns:
        The parsed variants, or the value itself if it is something else.

    Raises:
        UsageError: A variant is invalid.
    """
    if isinstance(value, str):
        return value if value.lstrip().startswith("[") else parse_variants(value.replace(",", " ").split())
    if isinstance(value, list | tuple):
        return tuple(map(_parse, cast("Sequence[object]", value)))
    return value


def _parse(value: object) -> HlsVariant:
    if isinstance(value, HlsVariant):
        return value
    try:
        if isinstance(value, dict):
            fields = dict(cast("Mapping[str, object]", value))
            if "height" in fields:
                fields.setdefault("resolution", fields.pop("height"))
            return HlsVariant.model_validate(fields)
        height, _, kbits = str(value).partition(":")
        return HlsVariant(resolution=int(height), bitrate=int(kbits))
    except (ValidationError, ValueError):
        raise UsageError(f"--variant {value}: {_RULE}") from None
