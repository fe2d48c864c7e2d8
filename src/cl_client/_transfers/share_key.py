"""Reads the share key of a local server, and never anything else: the server names the file."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PureWindowsPath
from typing import Final

from pydantic import SecretStr

from cl_client._transfers.open_flags import READ_NAMED_FILE
from cl_client._transfers.references import KEY_BYTES, KEY_FILE_NAME

_KEY: Final = re.compile(rb"[0-9a-f]{%d}\n?" % (2 * KEY_BYTES))
_READ_BYTES: Final = 1024


class ShareKeyError(Exception):
    """There is no share key that this user may use; the message says why."""


def read_share_key(named: str) -> SecretStr:
    """Read a share key. Blocks.

    Args:
        named: The path that the server names, which is not trusted.

    Returns:
        The key.

    Raises:
        ShareKeyError: It is not the key file of a server of this user on this machine.
    """
    path = Path(named)
    # On Windows, opening \\host\share would log in to a foreign host.
    on_a_host = isinstance(path, PureWindowsPath) and not re.fullmatch("[A-Za-z]:", path.drive)
    if path.name != KEY_FILE_NAME or not path.is_absolute() or on_a_host:
        raise ShareKeyError("the server names no valid key file")
    try:
        descriptor = os.open(path, READ_NAMED_FILE)
    except (OSError, ValueError):
        raise ShareKeyError(
            "its key file cannot be read here; only programs of the same user on the same machine can"
        ) from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or not _is_private(state):
            raise ShareKeyError("its key file does not belong to this user alone")
        content = os.read(descriptor, _READ_BYTES)
    except OSError:
        raise ShareKeyError("its key file cannot be read here") from None
    finally:
        os.close(descriptor)
    if not _KEY.fullmatch(content):
        raise ShareKeyError("its key file does not contain a key")
    return SecretStr(content.decode().strip())


def _is_private(state: os.stat_result) -> bool:
    if os.name != "posix":
        return True
    return state.st_uid == os.geteuid() and not state.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
