"""What the auth service says, as pydantic models: tokens, their claims, users, its public key."""

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
    """The wire joins permissions by commas in one direction, and lists them in the other."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _in_utc(moment: datetime) -> datetime:
    """The auth service's times are UTC, and do not say so."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _one_word(token: SecretStr) -> SecretStr:
    """It is to become part of a header."""
    if not is_token(token.get_secret_value()):
        raise ValueError("a token is one word of ASCII letters, digits and signs")
    return token


TokenText: TypeAlias = Annotated[SecretStr, AfterValidator(_one_word)]
Permissions: TypeAlias = Annotated[
    tuple[Annotated[str, OrLeftOut()], ...], BeforeValidator(_split), OrElse(())
]
UTCTime: TypeAlias = Annotated[datetime, AfterValidator(_in_utc)]
UserId: TypeAlias = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]


class Token(BaseModel):
    """A token, and how long it is good for by the clock of this machine; no repr shows the token itself.

    Attributes:
        access_token: The JWT.
        token_type: The server's word, ``bearer``.
        received_at: Seconds since the epoch.
        lifetime: Seconds from then on; None where the token does not say it.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: TokenText
    token_type: Annotated[str, OrElse("bearer")] = "bearer"  # noqa: S105 - no password
    received_at: float = Field(default_factory=time.time)
    lifetime: float | None = None

    @property
    def expires_at(self) -> float | None:
        """Seconds since the epoch; None where the token does not say it."""
        return None if self.lifetime is None else self.received_at + self.lifetime

    @property
    def is_expired(self) -> bool:
        """Whether its time is over, as far as that is known."""
        return self.expires_at is not None and time.time() >= self.expires_at


class User(ServerModel):
    """A user of the auth service.

    Attributes:
        id: The server's number of the user.
        username: The name to log in with.
        is_admin: Whether the user may do everything.
        is_active: Whether the user may log in.
        created_at: In UTC.
        permissions: What the user may do; jobs need ``ai_inference_support``.
    """

    id: int
    username: str
    is_admin: Annotated[bool, OrElse(default=False)] = False
    is_active: Annotated[bool, OrElse(default=True)] = True
    created_at: Annotated[UTCTime | None, OrElse(None)] = None
    permissions: Permissions = ()


class PublicKey(ServerModel):
    """What the auth service's signatures are checked with.

    Attributes:
        public_key: In PEM format.
        algorithm: ``ES256``.
    """

    public_key: str
    algorithm: str


class TokenClaims(ServerModel):
    """What a token whose signature was checked says of its user.

    Attributes:
        id: The user's number, as text; from ``id`` or, on older servers, ``sub``.
        permissions: What the user may do.
        is_admin: Whether the user may do everything.
        exp: When its time is over, in seconds since the epoch by the server's clock.
    """

    id: UserId = Field(validation_alias=AliasChoices("id", "sub"))
    permissions: Permissions = ()
    is_admin: Annotated[bool, OrElse(default=False)] = False
    exp: FiniteFloat


class _Times(BaseModel):
    """When a token was issued and ends, by the server's clock."""

    exp: FiniteFloat
    iat: Annotated[FiniteFloat | None, OrElse(None)] = None


def stated_lifetime(token: SecretStr, server_time: float | None) -> float | None:
    """How long a token that has just come says that it is good for, in seconds; its signature is not checked.

    Both ends are taken from the server's clock, so that it does not matter if that is wrong.

    Args:
        token: A JWT; anything else says nothing.
        server_time: What the server's clock showed, in seconds since the epoch; None if it did not say.

    Returns:
        None where the token does not say it, or says that its time is over, which only can be a wrong clock.
    """
    payload = token.get_secret_value().split(".")[1:2]
    try:
        times = _Times.model_validate_json(base64.urlsafe_b64decode(payload[0] + "=="))
    except (IndexError, ValueError):  # pydantic's are ValueErrors, too
        return None
    issued = next((moment for moment in (times.iat, server_time) if moment is not None), time.time())
    return times.exp - issued if times.exp > issued else None
