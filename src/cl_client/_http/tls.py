"""The TLS context for HTTP and MQTT: trusted certificate authorities, and the client certificate."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from cl_client._core.log import get_logger
from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from cl_client.config import ComputeClientConfig


logger = get_logger("cl_client._http.tls")


def make_ssl_context(config: ComputeClientConfig) -> ssl.SSLContext:
    """Create a TLS context that verifies the server's certificate and host name. Reads files.

    Args:
        config: Settings with the certificate files.

    Returns:
        The context.

    Raises:
        ConfigurationError: A file cannot be read, or is not a valid PEM file.
    """
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"ca_file: {config.ca_file} contains no valid PEM certificates: {exc}"
        ) from exc
    if config.insecure_skip_verify:
        logger.warning(
            "insecure_skip_verify is on: certificates are not verified: others on the network can read and "
            "change the traffic; set ca_file to the server's certificate authority instead"
        )
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.client_cert_file is not None:
        try:
            context.load_cert_chain(config.client_cert_file, config.client_key_file)
        except (OSError, ValueError) as exc:
            key = f" with the key {config.client_key_file}" if config.client_key_file else ""
            raise ConfigurationError(
                f"client_cert_file: {config.client_cert_file}{key} is not a valid certificate and key in PEM "
                f"format: {exc}"
            ) from exc
    return context
