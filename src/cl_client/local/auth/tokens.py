"""Tokens: what is in one, how it is signed, and when it counts."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from cl_client.local.generations import UserClaim
    from cl_client.models import JSONObject

ALGORITHM: Final = "ES256"


class InvalidTokenError(Exception):
    """The token is none, or none of this server."""


class ExpiredTokenError(InvalidTokenError):
    """The token was one of this server, but its time is over."""


class Claims(BaseModel):
    """What a token says of its user.

    Attributes:
        user_id: The user's number, as text.
        permissions: What the user may do.
        is_admin: Whether the user may do everything.
    """

    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)

    user_id: str = Field(validation_alias=AliasChoices("id", "sub"))
    permissions: list[str]
    is_admin: bool


class TokenAuthority:
    """Issues tokens, and checks them without asking anybody.

    Args:
        key: Signs.
        lifetime: Seconds that a token counts.
        clock_offset: Seconds by which this server's clock is ahead of the machine's.
        user_claim: The claim that holds the user's id.
    """

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        *,
        lifetime: float,
        clock_offset: float = 0.0,
        user_claim: UserClaim = "id",
    ) -> None:
        self._key = key
        self._public_key = key.public_key()
        self._lifetime = lifetime
        self._clock_offset = clock_offset
        self._user_claim: UserClaim = user_claim

    @property
    def public_key(self) -> str:
        """What checks its tokens, as PEM."""
        pem = self._public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode()

    def issue(self, claims: Claims, lifetime: float | None = None) -> str:
        """A token of this user; seconds of its lifetime below zero for one whose time is over."""
        seconds = self._lifetime if lifetime is None else lifetime
        payload: JSONObject = {
            self._user_claim: claims.user_id,
            "permissions": [*claims.permissions],
            "is_admin": claims.is_admin,
            "exp": math.ceil(time.time() + self._clock_offset + seconds),
        }
        return jwt.encode({**payload}, self._key, ALGORITHM)

    def accepts(self, token: str) -> bool:
        """Whether a token counts now."""
        try:
            self.check(token)
        except InvalidTokenError:
            return False
        return True

    def check(self, token: str) -> Claims:
        """What a token says, if it counts now.

        Raises:
            ExpiredTokenError: Its time is over.
            InvalidTokenError: It is malformed, or signed otherwise or by somebody else.
        """
        try:
            payload: object = jwt.decode(
                token,
                self._public_key,
                algorithms=[ALGORITHM],
                options={"require": ["exp"]},
                # PyJWT takes the time from the machine: a clock that is ahead is an allowance below zero.
                leeway=-self._clock_offset,
            )
            return Claims.model_validate(payload)
        # Neither names its cause, which may quote the token.
        except jwt.ExpiredSignatureError:
            raise ExpiredTokenError from None
        except (jwt.InvalidTokenError, ValidationError):
            raise InvalidTokenError from None
