"""Certificate errors: their reason, and closing the socket after them."""

from __future__ import annotations

import ssl

from typing_extensions import override


def certificate_problem(error: BaseException) -> str | None:
    """Find out whether an invalid certificate caused an error.

    Args:
        error: Any error; its causes and contexts are searched too.

    Returns:
        OpenSSL's reason, such as "certificate has expired"; None if no certificate was rejected.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message
        seen = seen.__cause__ or seen.__context__
    return None


class SelfClosingSSLSocket(ssl.SSLSocket):
    """A TLS socket that closes itself if the handshake fails; paho leaves that to the garbage collector."""

    @override
    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.close()
            raise
