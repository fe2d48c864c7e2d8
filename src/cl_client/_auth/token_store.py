"""`TokenStore`: tokens stored between runs of a program. Passwords are never stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from pydantic import ValidationError

from cl_client._auth.models import Token
from cl_client._auth.private_file import PrivateFile
from cl_client._core.log import get_logger
from cl_client._core.threads import in_thread
from cl_client._errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

logger = get_logger("cl_client.auth")

_APP: Final = "cl_client"
_PURPOSE: Final = "Storing a session"
_EXTRA: Final = "auth"
_KEEPS_NOTHING: Final = frozenset({"keyring.backends.fail", "keyring.backends.null"})


class TokenStore:
    """Stores tokens in the system keyring or, without a usable keyring, in a file for its owner only.

    On Windows the file is as private as the user's profile. Several processes may use one store at the same
    time. Nothing is read or written before the first call.

    Args:
        folder: The folder of the file, which is made private; None for one in the user's data folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    async def load(self, auth_url: str, username: str | None = None) -> tuple[str, Token] | None:
        """Read the token of a user.

        Args:
            auth_url: The auth service.
            username: The user; None for the user who logged in last.

        Returns:
            The user name and the token; None if it is not found.

        Raises:
            ConfigurationError: The file cannot be read.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        return await in_thread(self._load, _server(auth_url), username)

    async def save(self, auth_url: str, username: str, token: Token, *, log_in: bool = False) -> None:
        """Store the token of a user; it replaces an earlier one.

        Args:
            auth_url: The auth service.
            username: The user.
            token: The token.
            log_in: Whether to record this user as the one who logged in last. Default False.

        Raises:
            ConfigurationError: The token cannot be stored.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        await in_thread(self._save, _server(auth_url), username, token, log_in=log_in)

    async def remove(self, auth_url: str, username: str) -> None:
        """Delete the token of a user. Does nothing if it is not found.

        Args:
            auth_url: The auth service.
            username: The user.

        Raises:
            ConfigurationError: The token cannot be deleted.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        await in_thread(self._remove, _server(auth_url), username)

    # In a thread: keyrings and files block.

    def _load(self, server: str, username: str | None) -> tuple[str, Token] | None:
        # A token in the file is newer: storing it in the keyring would have removed it from the file.
        places = (self._file(), *_usable_keyring())
        if username is None:
            username = next((name for place in places if (name := place.get(server))), None)
        if username is None:
            return None
        texts = (place.get(_name(server, username)) for place in places)
        token = next((token for text in texts if text and (token := _token(text))), None)
        return None if token is None else (username, token)

    def _save(self, server: str, username: str, token: Token, *, log_in: bool) -> None:
        texts = {_name(server, username): _text(token)} | ({server: username} if log_in else {})
        file = self._file()
        if any(keyring.put(texts) for keyring in _usable_keyring()):
            file.remove(texts)
        else:
            logger.info("there is no usable keyring; sessions are stored in %s", file.path)
            file.put(texts)

    def _remove(self, server: str, username: str) -> None:
        file, name = self._file(), _name(server, username)
        file.remove([name, server] if file.get(server) == username else [name])
        for keyring in _usable_keyring():
            try:
                keyring.remove([name, server] if keyring.get(server) == username else [name])
            except ConfigurationError as exc:
                # If there is a file, the keyring could not be used before either.
                if not file.path.is_file():
                    raise
                logger.warning("%s", exc)

    def _file(self) -> PrivateFile:
        try:
            import platformdirs
        except ImportError:
            raise MissingExtraError(_PURPOSE, _EXTRA) from None
        folder = self._folder or Path(platformdirs.user_data_dir(_APP, appauthor=False)) / "sessions"
        return PrivateFile(folder / "tokens.json")


class _Keyring:
    """The system keyring. Only the type of an error is logged, because its message may quote a token."""

    def get(self, name: str) -> str | None:
        """Read a text; None if it is not found or the keyring cannot be read."""
        import keyring

        try:
            return keyring.get_password(_APP, name)
        except Exception as exc:  # noqa: BLE001 - see above
            logger.info("the keyring cannot be read: %s", type(exc).__name__)
            return None

    def put(self, texts: Mapping[str, str]) -> bool:
        """Store texts by name, and return whether that succeeded."""
        import keyring

        try:
            for name, text in texts.items():
                keyring.set_password(_APP, name, text)
        except Exception as exc:  # noqa: BLE001 - see above
            logger.info("the keyring cannot be written: %s", type(exc).__name__)
            return False
        return True

    def remove(self, names: Iterable[str]) -> None:
        """Delete texts.

        Raises:
            ConfigurationError: A text cannot be deleted.
        """
        import keyring

        for name in names:
            try:
                # Not by `get`, which returns None for a locked keyring too.
                if keyring.get_password(_APP, name) is not None:
                    keyring.delete_password(_APP, name)
            except Exception as exc:  # noqa: BLE001 - see above
                failure = type(exc).__name__
                raise ConfigurationError(
                    f"The system keyring could not delete {name!r} of {_APP!r} ({failure}); delete it there"
                ) from None


def _usable_keyring() -> Sequence[_Keyring]:
    """The system keyring, unless its backend stores nothing."""
    try:
        import keyring
    except ImportError:
        raise MissingExtraError(_PURPOSE, _EXTRA) from None
    try:
        backend = keyring.get_keyring()
    except Exception as exc:  # noqa: BLE001 - a configured backend may raise anything when it is loaded
        logger.warning("the configured keyring cannot be loaded: %s", type(exc).__name__)
        return ()
    return () if type(backend).__module__ in _KEEPS_NOTHING else (_Keyring(),)


def _server(auth_url: str) -> str:
    """Normalize an address, and remove credentials from it."""
    return str(httpx.URL(auth_url).copy_with(username=None, password=None)).rstrip("/")


def _name(server: str, username: str) -> str:
    return f"{server} {username}"


def _text(token: Token) -> str:
    """Serialize a token in plain text, for a private place."""
    return json.dumps(
        {
            "access_token": token.access_token.get_secret_value(),
            "received_at": token.received_at,
            "lifetime": token.lifetime,
        }
    )


def _token(text: str) -> Token | None:
    try:
        return Token.model_validate_json(text)
    except ValidationError:
        logger.warning("a stored token is damaged and ignored; log in again")
        return None
