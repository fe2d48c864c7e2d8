"""Lenient fields of a server's response: an invalid value affects only its own field.

pydantic's core does the fallback, so valid values cost no extra time.
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
    """In ``Annotated``: the default that replaces an invalid value."""

    default: object

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Use the default if validation fails."""
        return core_schema.with_default_schema(handler(source), default=self.default, on_error="default")


@dataclass(frozen=True, slots=True)
class OrReadBy:
    """In ``Annotated``: a function that converts an invalid value, or returns it unchanged."""

    read: Callable[[object], object]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Try to validate the value unconverted first."""
        schema = handler(source)
        read = core_schema.no_info_before_validator_function(self.read, schema)
        return core_schema.union_schema([schema, read], mode="left_to_right")


@dataclass(frozen=True, slots=True)
class OrLeftOut:
    """In ``Annotated``, for the items of a collection: invalid items are left out."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Leave the item out if validation fails."""
        return core_schema.with_default_schema(handler(source), on_error="omit")
