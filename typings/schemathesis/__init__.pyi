"""The parts that tests use; the library's own annotations leave type arguments open."""

import enum
from collections.abc import Sized

from hypothesis.strategies import SearchStrategy

from schemathesis import openapi as openapi

class GenerationMode(enum.Enum):
    POSITIVE = "positive"
    NEGATIVE = "negative"

class Check: ...

class Case:
    def call_and_validate(self, *, headers: dict[str, str], checks: list[Check]) -> object: ...

class APIOperation:
    @property
    def body(self) -> Sized: ...
    @property
    def query(self) -> Sized: ...
    @property
    def label(self) -> str: ...
    def as_strategy(
        self, generation_mode: GenerationMode = ..., *, path_parameters: dict[str, object] | None = None
    ) -> SearchStrategy[Case]: ...
