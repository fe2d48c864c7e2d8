"""The settings of a local server's auth service."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr

DEFAULT_ADMIN_PASSWORD = "admin"  # noqa: S105 - the default of every CL Server
DEFAULT_TOKEN_LIFETIME = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Settings of a local server's auth service. `cl_client.local.LocalServer` describes each of them."""

    port: int
    admin_password: SecretStr
    token_lifetime: float
    clock_offset: float

    def __post_init__(self) -> None:
        """Check the settings before anything is started.

        Raises:
            ValueError: A setting is out of range.
        """
        if not self.admin_password.get_secret_value():
            raise ValueError("admin_password is empty; it must have at least one character")
        if not 0 < self.token_lifetime < math.inf:
            raise ValueError(f"token_lifetime is {self.token_lifetime:g} s; it must be above 0 and finite")
