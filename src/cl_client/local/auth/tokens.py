"""Tokens: their claims, their signature, and their validity."""

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
    """The token is malformed, or was not signed by this server."""


class ExpiredTokenError(InvalidTokenError):
    """The token was issued by this server, but has expired."""


class Claims(BaseModel):
    """The claims of a token about its user.

    Attributes:
        user_id: The user's id, as text.
        permissions: The user's permissions.
        is_admin: Whether the user has all permissions.
    """

    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)

    user_id: str = Field(validation_alias=AliasChoices("id", "sub"))
    permissions: list[str]
    is_admin: bool


class TokenAuthority:
    """Issues and checks tokens; the check needs no request to the auth service.

    Args:
        key: The private key that signs the tokens.
        lifetime: Seconds that a token is valid.
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
        """The public key that verifies the tokens, in PEM format."""
        pem = self._public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode()

    def issue(self, claims: Claims, lifetime: float | None = None) -> str:
        """Issue a token.

        Args:
            claims: The claims about the user.
            lifetime: Seconds that it is valid, negative for an expired token; None for the default.

        Returns:
            The token, a JWT.
        """
        seconds = self._lifetime if lifetime is None else lifetime
        payload: JSONObject = {
            self._user_claim: claims.user_id,
            "permissions": [*claims.permissions],
            "is_admin": claims.is_admin,
            "exp": math.ceil(time.time() + self._clock_offset + seconds),
        }
        return jwt.encode({**payload}, self._key, ALGORITHM)

    def accepts(self, token: str) -> bool:
        """Tell whether a token is valid now.

        Args:
            token: The token, a JWT.

        Returns:
            False if it is malformed, expired, or was not signed by this server.
        """
        try:
            self.check(token)
        except InvalidTokenError:
            return False
        return True

    def check(self, token: str) -> Claims:
        """Check that a token is valid now.

        Args:
            token: The token, a JWT.

        Returns:
            The claims of the token.

        Raises:
            ExpiredTokenError: The token has expired.
            InvalidTokenError: The token is malformed, or its signature is invalid.
        """
        try:
            payload: object = jwt.decode(
                token,
                self._public_key,
                algorithms=[ALGORITHM],
                options={"require": ["exp"]},
                # PyJWT uses the machine's time: a clock that is ahead is a negative leeway.
                leeway=-self._clock_offset,
            )
            return Claims.model_validate(payload)
        # Both without their cause, which may quote the token.
        except jwt.ExpiredSignatureError:
            raise ExpiredTokenError from None
        except (jwt.InvalidTokenError, ValidationError):
            raise InvalidTokenError from None
