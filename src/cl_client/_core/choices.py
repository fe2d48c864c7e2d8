"""What parameters may be, and the bounds they share.

Nothing is imported here, so that a command line can offer the choices without what they are for.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

HashAlgorithm: TypeAlias = Literal["sha512", "md5"]
"""The hashes that a CL Server computes."""
ImageFormat: TypeAlias = Literal["png", "jpg", "jpeg", "webp", "gif", "bmp", "tiff"]
"""The formats that a CL Server converts pictures to."""
MAX_PRIORITY: Final = 10
"""Of a job; the least is 0."""
MQTT_OFF: Final = "off"
"""In place of a broker's address: no MQTT, jobs are followed over HTTP alone."""
