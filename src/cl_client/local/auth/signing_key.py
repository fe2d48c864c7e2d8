"""The key that signs tokens: a file that only its owner can read, kept so that tokens survive a restart."""

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
    """The key in a PEM file, made if there is no such file. Blocks.

    Raises:
        ConfigurationError: The file holds something else.
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
            f"{path} holds no private key for ES256 in PEM format; once it is removed a new one is made, "
            "and the tokens signed so far are void"
        ) from None


def _parse(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TypeError("not on the curve P-256")
    return key


def _write(path: Path, content: bytes) -> None:
    """Write it whole or not at all; `mkstemp` makes the file with mode 0600."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
