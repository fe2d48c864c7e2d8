"""Whether a host is this machine itself."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Check whether only programs on this machine reach what listens on a host.

    Args:
        host: A host name or an address.

    Returns:
        True for ``localhost`` and loopback addresses. Other names are not resolved.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
