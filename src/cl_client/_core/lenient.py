"""Fields of a server's answer that the rest can do without: an odd value in one costs that field alone.

pydantic's own code falls back, so that a field that is as it should be costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import core_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler


@dataclass(frozen=True, slots=True)
class OrElse:
    """In ``Annotated``: what a value that is not of the type counts as."""

    default: object

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Fall back on the default."""
        return core_schema.with_default_schema(handler(source), default=self.default, on_error="default")


@dataclass(frozen=True, slots=True)
class OrReadBy:
    """In ``Annotated``: what makes a value of the type of one that is not, or leaves it as it is."""

    read: Callable[[object], object]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Try it without at first."""
        schema = handler(source)
        read = core_schema.no_info_before_validator_function(self.read, schema)
        return core_schema.union_schema([schema, read], mode="left_to_right")


@dataclass(frozen=True, slots=True)
class OrLeftOut:
    """In ``Annotated``, of the items of a collection: one that is not of the type is left out."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Go on without it."""
        return core_schema.with_default_schema(handler(source), on_error="omit")
