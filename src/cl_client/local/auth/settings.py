"""The settings of a local server's auth service."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr

DEFAULT_ADMIN_PASSWORD = "admin"  # noqa: S105 - what every CL Server begins with
DEFAULT_TOKEN_LIFETIME = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """How a local server's auth service is set up; `cl_client.local.LocalServer` explains each setting."""

    port: int
    admin_password: SecretStr
    token_lifetime: float
    clock_offset: float

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything is started.

        Raises:
            ValueError: A setting is out of its range.
        """
        if not self.admin_password.get_secret_value():
            raise ValueError("admin_password is empty; at least one character is needed")
        if not 0 < self.token_lifetime < math.inf:
            raise ValueError(
                f"token_lifetime is {self.token_lifetime:g} s; it must be above 0, and have an end"
            )
