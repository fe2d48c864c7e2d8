"""The key that signs tokens: a file that only its owner can read, so that tokens survive a restart."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cl_client.exceptions import ConfigurationError


def load_or_make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Load the key from a PEM file, which is created if it does not exist. Blocks.

    Args:
        path: The PEM file.

    Returns:
        The private key, on the curve P-256.

    Raises:
        ConfigurationError: The file is not a private key for ES256.
    """
    try:
        return _parse(path.read_bytes())
    except FileNotFoundError:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return key
    except (TypeError, ValueError, UnsupportedAlgorithm):
        # Without its cause, which may quote the file.
        raise ConfigurationError(
            f"{path} is not a private key for ES256 in PEM format; if you remove it, a new one is created, "
            "and the tokens issued so far become invalid"
        ) from None


def _parse(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TypeError("not on the curve P-256")
    return key


def _write(path: Path, content: bytes) -> None:
    """Write the file atomically; `mkstemp` creates it with mode 0600."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
