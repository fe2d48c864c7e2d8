"""Allowed values of parameters, and limits they share.

Imports nothing from this library, so that a command line can list the choices without loading it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

HashAlgorithm: TypeAlias = Literal["sha512", "md5"]
"""Hash algorithms that a CL Server supports."""
ImageFormat: TypeAlias = Literal["png", "jpg", "jpeg", "webp", "gif", "bmp", "tiff"]
"""Image formats that a CL Server can convert to."""
MAX_PRIORITY: Final = 10
"""Highest priority of a job; the lowest is 0."""
MQTT_OFF: Final = "off"
"""Value of ``mqtt_broker`` that turns MQTT off: jobs are followed over HTTP only."""

DEFAULT_MAX_BYTES: Final = 64 * 1024**2
"""Default maximum size of a file of a job that is read into memory."""
