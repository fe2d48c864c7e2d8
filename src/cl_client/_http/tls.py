"""One TLS context for HTTP and MQTT: the authorities that are trusted, and the client's certificate."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from cl_client._core.log import get_logger
from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from cl_client.config import ComputeClientConfig


logger = get_logger("cl_client._http.tls")


def make_ssl_context(config: ComputeClientConfig) -> ssl.SSLContext:
    """A context that checks the peer's certificate and its host name. Reads files.

    Raises:
        ConfigurationError: A file cannot be read, or does not hold what it should.
    """
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"ca_file: {config.ca_file} holds no PEM certificates: {exc}") from exc
    if config.insecure_skip_verify:
        logger.warning(
            "insecure_skip_verify is on: certificates are not checked, and whoever is on the way can read "
            "and change everything; name the server's authority in ca_file instead"
        )
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.client_cert_file is not None:
        try:
            context.load_cert_chain(config.client_cert_file, config.client_key_file)
        except (OSError, ValueError) as exc:
            key = f" with the key {config.client_key_file}" if config.client_key_file else ""
            raise ConfigurationError(
                f"client_cert_file: {config.client_cert_file}{key} is not a certificate and its key "
                f"in PEM format: {exc}"
            ) from exc
    return context
