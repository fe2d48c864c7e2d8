"""Models of the auth service: tokens, their claims, users, the public key."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    SecretStr,
)

from cl_client._core.lenient import OrElse, OrLeftOut
from cl_client._core.validation import is_token
from cl_client.models import ServerModel


def _split(value: object) -> object:
    """Accept permissions as a list or as comma-separated text; servers send both."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _in_utc(moment: datetime) -> datetime:
    """Convert to UTC; the auth service sends UTC without a time zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _one_word(token: SecretStr) -> SecretStr:
    """Check that the token can be part of a header."""
    if not is_token(token.get_secret_value()):
        raise ValueError("a token must be one word of printable ASCII")
    return token


TokenText: TypeAlias = Annotated[SecretStr, AfterValidator(_one_word)]
Permissions: TypeAlias = Annotated[
    tuple[Annotated[str, OrLeftOut()], ...], BeforeValidator(_split), OrElse(())
]
UTCTime: TypeAlias = Annotated[datetime, AfterValidator(_in_utc)]
UserId: TypeAlias = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]


class Token(BaseModel):
    """A token and its expiry by the clock of this machine. No repr shows the token itself.

    Attributes:
        access_token: The JWT.
        token_type: The type that the server gives, ``bearer``.
        received_at: Time of its arrival in seconds since the epoch.
        lifetime: Seconds from ``received_at`` until it expires; None if the token does not say.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: TokenText
    token_type: Annotated[str, OrElse("bearer")] = "bearer"  # noqa: S105 - not a password
    received_at: float = Field(default_factory=time.time)
    lifetime: float | None = None

    @property
    def expires_at(self) -> float | None:
        """Time of expiry in seconds since the epoch; None if the token does not say."""
        return None if self.lifetime is None else self.received_at + self.lifetime

    @property
    def is_expired(self) -> bool:
        """Whether the token has expired; False if its expiry is unknown."""
        return self.expires_at is not None and time.time() >= self.expires_at


class User(ServerModel):
    """A user of the auth service.

    Attributes:
        id: The id of the user.
        username: The user name.
        is_admin: Whether the user is an administrator.
        is_active: Whether the user may log in.
        created_at: Time of creation in UTC.
        permissions: The permissions; jobs require ``ai_inference_support``.
    """

    id: int
    username: str
    is_admin: Annotated[bool, OrElse(default=False)] = False
    is_active: Annotated[bool, OrElse(default=True)] = True
    created_at: Annotated[UTCTime | None, OrElse(None)] = None
    permissions: Permissions = ()


class PublicKey(ServerModel):
    """The public key that verifies the signatures of the auth service.

    Attributes:
        public_key: The key in PEM format.
        algorithm: The algorithm, ``ES256``.
    """

    public_key: str
    algorithm: str


class TokenClaims(ServerModel):
    """The claims of a verified token.

    Attributes:
        id: The id of the user as text; from ``id`` or, on older servers, ``sub``.
        permissions: The permissions of the user.
        is_admin: Whether the user is an administrator.
        exp: Time of expiry in seconds since the epoch, by the server's clock.
    """

    id: UserId = Field(validation_alias=AliasChoices("id", "sub"))
    permissions: Permissions = ()
    is_admin: Annotated[bool, OrElse(default=False)] = False
    exp: FiniteFloat


class _Times(BaseModel):
    """Times of issue and expiry of a token, by the server's clock."""

    exp: FiniteFloat
    iat: Annotated[FiniteFloat | None, OrElse(None)] = None


def stated_lifetime(token: SecretStr, server_time: float | None) -> float | None:
    """Read the lifetime of a new token, without checking its signature.

    Both times are by the server's clock, so that a wrong clock does not matter.

    Args:
        token: A JWT; other tokens have no stated lifetime.
        server_time: Time of the response by the server's clock, in seconds since the epoch; None if unknown.

    Returns:
        Seconds until it expires; None if the token does not say, or claims to be expired already.
    """
    payload = token.get_secret_value().split(".")[1:2]
    try:
        times = _Times.model_validate_json(base64.urlsafe_b64decode(payload[0] + "=="))
    except (IndexError, ValueError):  # pydantic's errors are ValueErrors
        return None
    issued = next((moment for moment in (times.iat, server_time) if moment is not None), time.time())
    return times.exp - issued if times.exp > issued else None
