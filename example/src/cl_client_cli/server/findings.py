"""The result of one check of `cl-client doctor`."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

State: TypeAlias = Literal["ok", "warning", "problem"]


class Finding(BaseModel):
    """The result of one check.

    Attributes:
        check: What was checked.
        state: The result.
        message: What was found.
        remedy: What to do; None if nothing.
    """

    model_config = ConfigDict(frozen=True)

    check: str
    state: State
    message: str
    remedy: str | None = None
