"""What Pillow's decoders raise on damaged data."""

from __future__ import annotations

import struct
import zlib
from typing import Final

DAMAGE_ERRORS: Final = (
    OSError, ValueError, SyntaxError, EOFError, RuntimeError, LookupError, ArithmeticError, TypeError,
    struct.error, zlib.error,
)  # fmt: skip
"""The exceptions of Pillow's decoders on damaged data, besides `UnidentifiedImageError`."""
