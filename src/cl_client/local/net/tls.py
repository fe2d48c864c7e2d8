"""TLS on the local server's side: one context for HTTP and MQTT, and one for its own way to its broker."""

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
    """The files, in PEM format, with which a local server speaks https and mqtts.

    Attributes:
        cert_file: The server's certificate, followed by those between it and its authority if there are any.
        key_file: The certificate's private key, not encrypted.
        client_ca_file: Authorities whose certificates clients must show; None to ask for none.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class TLSContexts:
    """What a server's parts speak TLS with.

    Attributes:
        http: For whoever listens for HTTP.
        mqtt: For the broker.
        own_client: For the server's own connection to its broker: trusts its certificate, and nothing else.
    """

    http: ssl.SSLContext
    mqtt: ssl.SSLContext
    own_client: ssl.SSLContext


def load_tls(tls: ServerTLS) -> TLSContexts:
    """Read the files. Blocks.

    Raises:
        ConfigurationError: A file cannot be read, or does not hold what it should.
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
        # The password is given so that a terminal is never asked for it.
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
            raise ConfigurationError(f"tls: {tls.client_ca_file} holds no PEM certificates: {exc}") from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _pinning_context(cert_file: Path) -> ssl.SSLContext:
    """Trusts one certificate, whoever signed it and whichever host it is for."""
    certificate = x509.load_pem_x509_certificates(cert_file.read_bytes())[0]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=certificate.public_bytes(Encoding.DER))
    return context


def _admit_own_client(contexts: TLSContexts) -> None:
    """Give the server's own connection a certificate that nobody else has, and the broker trust in it."""
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
    # The ssl module takes a key only from a file; this one has the mode 0600.
    handle, file = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as output:
            output.write(private + certificate.public_bytes(Encoding.PEM))
        contexts.own_client.load_cert_chain(file)
    finally:
        Path(file).unlink()
