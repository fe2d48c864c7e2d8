"""The parameters of a conversion as servers complete them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from cl_client.plugins.image_conversion import ImageConversionParams

DEFAULT_QUALITY: Final = 85


class ServedConversionParams(ImageConversionParams):
    """A job's params have a quality even if its form has none, and whatever the format."""

    quality: Annotated[int, Field(ge=1, le=100)] | None = DEFAULT_QUALITY
