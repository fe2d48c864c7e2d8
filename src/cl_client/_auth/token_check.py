"""Verification of tokens with the public key of the auth service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from cl_client._auth.models import TokenClaims
from cl_client._errors import InvalidResponseError, InvalidTokenError, MissingExtraError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from cl_client._auth.models import PublicKey

_ALGORITHM: Final = "ES256"


def checked_claims(token: SecretStr, key: PublicKey, leeway: float) -> TokenClaims | None:
    """Verify a token and read its claims.

    Args:
        token: The JWT.
        key: The public key of the auth service.
        leeway: Seconds for which an expired token is still accepted.

    Returns:
        The claims; None if the signature does not match the key.

    Raises:
        InvalidTokenError: The token has expired or is invalid.
        InvalidResponseError: The key is not a valid ES256 key.
        MissingExtraError: The extra ``auth`` is not installed.
    """
    try:
        import jwt
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise MissingExtraError("Checking a token's signature", "auth") from None
    if key.algorithm != _ALGORITHM:
        raise InvalidResponseError(f"The auth service signs with {key.algorithm!r}; expected {_ALGORITHM}")
    try:
        public_key = load_pem_public_key(key.public_key.encode())
    except ValueError:
        public_key = None
    if not isinstance(public_key, EllipticCurvePublicKey) or not isinstance(public_key.curve, SECP256R1):
        raise InvalidResponseError(
            f"The auth service's public key is not a valid {_ALGORITHM} key in PEM format"
        )
    try:
        claims: object = jwt.decode(
            token.get_secret_value(),
            public_key,
            algorithms=[_ALGORITHM],
            leeway=leeway,
            # If the clock of the server is ahead, its tokens are issued in the future.
            options={"require": ["exp"], "verify_iat": False},
        )
        return TokenClaims.model_validate(claims)
    except jwt.InvalidSignatureError:
        return None
    except jwt.ExpiredSignatureError:
        raise InvalidTokenError("The token has expired; log in again") from None
    except (jwt.InvalidTokenError, ValidationError) as exc:
        reason = type(exc).__name__
        raise InvalidTokenError(f"The token is invalid ({reason}); log in again") from None
