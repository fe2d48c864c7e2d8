"""A small file of named texts that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Final

import portalocker
from pydantic import TypeAdapter, ValidationError

from cl_client._core.log import get_logger
from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

logger = get_logger("cl_client.auth")

_LOCK_SECONDS: Final = 10.0
_LOCK_CHECK_SECONDS: Final = 0.02
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600

_TEXTS = TypeAdapter(dict[str, str])


class PrivateFile:
    """Stores texts in a file that several processes may use. Its methods block; writes are atomic.

    Reads and writes hold a lock file next to it, because Windows cannot replace a file that is open.

    Args:
        path: The file; its folder is created if missing, and made private.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str) -> str | None:
        """Read a text.

        Args:
            name: The name of the text.

        Returns:
            The text; None if it is not found.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        if not self.path.is_file():
            return None
        with self._locked():
            return self._read().get(name)

    def put(self, texts: Mapping[str, str]) -> None:
        """Store texts and replace earlier ones of the same names.

        Args:
            texts: The texts by name.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        with self._locked():
            self._write({**self._read(), **texts})

    def remove(self, names: Iterable[str]) -> None:
        """Delete texts. Names that are not found are ignored.

        Args:
            names: The names of the texts.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        if not self.path.is_file():
            return
        with self._locked():
            texts, gone = self._read(), frozenset(names)
            left = {name: text for name, text in texts.items() if name not in gone}
            if left != texts:
                self._write(left)

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        folder = self.path.parent
        try:
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            folder.chmod(_FOLDER_MODE)
            with portalocker.Lock(
                self.path.with_suffix(".lock"),
                timeout=_LOCK_SECONDS,
                check_interval=_LOCK_CHECK_SECONDS,
                opener=_open_private,
            ):
                yield
        except portalocker.LockException:
            raise ConfigurationError(
                f"{self.path}: timed out after {_LOCK_SECONDS:g} s waiting for its lock; end the process "
                "that holds it"
            ) from None
        except OSError as exc:
            raise ConfigurationError(f"{self.path}: cannot be used: {exc.strerror or exc}") from exc

    def _read(self) -> dict[str, str]:
        try:
            return _TEXTS.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValidationError:
            # Without the cause, which would quote parts of the tokens.
            logger.warning("%s is damaged and its tokens are lost; log in again", self.path)
            return {}

    def _write(self, texts: dict[str, str]) -> None:
        """Write a private temporary file, then replace the file with it."""
        neighbour = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        with contextlib.ExitStack() as stack:
            stack.callback(neighbour.unlink, missing_ok=True)
            with open(neighbour, "xb", opener=_open_private) as file:
                file.write(_TEXTS.dump_json(texts))
                file.flush()
                os.fsync(file.fileno())
            neighbour.replace(self.path)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE_MODE)
