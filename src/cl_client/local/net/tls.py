"""TLS contexts of the local server: for HTTP, for MQTT, and for its own connection to its broker."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cl_client.exceptions import ConfigurationError

_OWN_CERTIFICATE_DAYS = 3650


@dataclass(frozen=True, slots=True)
class ServerTLS:
    """The files, in PEM format, that a local server uses for https and mqtts.

    Attributes:
        cert_file: The server's certificate, followed by intermediate certificates if there are any.
        key_file: The certificate's private key, not encrypted.
        client_ca_file: The authorities of client certificates, which are then required; None to require none.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class TLSContexts:
    """The TLS contexts of a server's parts.

    Attributes:
        http: For the HTTP servers.
        mqtt: For the broker.
        own_client: For the server's own connection to its broker; trusts only the server's certificate.
    """

    http: ssl.SSLContext
    mqtt: ssl.SSLContext
    own_client: ssl.SSLContext


def load_tls(tls: ServerTLS) -> TLSContexts:
    """Read the files. Blocks.

    Args:
        tls: The files.

    Returns:
        The contexts.

    Raises:
        ConfigurationError: A file cannot be read, or its content is invalid.
    """
    contexts = TLSContexts(
        http=_server_context(tls), mqtt=_server_context(tls), own_client=_pinning_context(tls.cert_file)
    )
    if tls.client_ca_file is not None:
        _admit_own_client(contexts)
    return contexts


def _server_context(tls: ServerTLS) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # With a password, OpenSSL does not prompt for one on the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"tls: {tls.cert_file} and {tls.key_file} are not a certificate and its unencrypted private key "
            f"in PEM format: {exc}"
        ) from exc
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(tls.client_ca_file)
        except (OSError, ValueError) as exc:
            raise ConfigurationError(
                f"tls: {tls.client_ca_file} contains no valid PEM certificates: {exc}"
            ) from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _pinning_context(cert_file: Path) -> ssl.SSLContext:
    """Make a context that trusts one certificate, whatever its issuer and host name."""
    certificate = x509.load_pem_x509_certificates(cert_file.read_bytes())[0]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=certificate.public_bytes(Encoding.DER))
    return context


def _admit_own_client(contexts: TLSContexts) -> None:
    """Create a certificate for the server's own connection only, and make the broker trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local server")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_OWN_CERTIFICATE_DAYS))
        .sign(key, SHA256())
    )
    contexts.mqtt.load_verify_locations(cadata=certificate.public_bytes(Encoding.DER))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # The ssl module loads a key only from a file; this one has the mode 0600.
    handle, file = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as output:
            output.write(private + certificate.public_bytes(Encoding.PEM))
        contexts.own_client.load_cert_chain(file)
    finally:
        Path(file).unlink()
