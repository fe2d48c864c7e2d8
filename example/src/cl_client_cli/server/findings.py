"""What a check of the doctor has found."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

State: TypeAlias = Literal["ok", "warning", "problem"]


class Finding(BaseModel):
    """What one check has found.

    Attributes:
        check: What was looked at.
        state: How it is.
        message: What was found.
        remedy: What to do; None where there is nothing to be done.
    """

    model_config = ConfigDict(frozen=True)

    check: str
    state: State
    message: str
    remedy: str | None = None
