"""What an administrator's requests say: a form and a query."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from cl_client.local.auth.form_fields import Form


class GuestModeForm(Form):
    """The form that changes guest mode."""

    guest_mode: bool


class CleanupQuery(BaseModel):
    """The query of a cleanup: the minimum age of the jobs, in days."""

    days: Annotated[int, Field(ge=0)] = 7
