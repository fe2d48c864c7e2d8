"""`TokenStore`: tokens kept from one run of a program to the next; passwords never are."""

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
_PURPOSE: Final = "Keeping a session"
_EXTRA: Final = "auth"
_KEEPS_NOTHING: Final = frozenset({"keyring.backends.fail", "keyring.backends.null"})


class TokenStore:
    """Keeps tokens in the system's keyring or, where there is none to use, in a file for its owner alone.

    On Windows the file is as private as the user's profile. Several processes may use one store at once.
    Nothing is read or written before the first call.

    Args:
        folder: Where the file is, made private if it is not; None for one in the user's data folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    async def load(self, auth_url: str, username: str | None = None) -> tuple[str, Token] | None:
        """Read a user's token.

        Args:
            auth_url: The auth service.
            username: Whose; None for the one who logged in last.

        Returns:
            The user's name and the token; None if there is none.

        Raises:
            ConfigurationError: The file cannot be read.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        return await in_thread(self._load, _server(auth_url), username)

    async def save(self, auth_url: str, username: str, token: Token, *, log_in: bool = False) -> None:
        """Keep a user's token in place of an earlier one.

        Args:
            auth_url: The auth service.
            username: Whose.
            token: The token.
            log_in: Whether this is the user who logged in last.

        Raises:
            ConfigurationError: There is no place where it can be kept.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        await in_thread(self._save, _server(auth_url), username, token, log_in=log_in)

    async def remove(self, auth_url: str, username: str) -> None:
        """Forget a user's token. Does nothing if there is none.

        Raises:
            ConfigurationError: It is there and cannot be removed.
            MissingExtraError: The extra ``auth`` is not installed.
        """
        await in_thread(self._remove, _server(auth_url), username)

    # In a thread: keyrings and files block.

    def _load(self, server: str, username: str | None) -> tuple[str, Token] | None:
        # What is in the file was put there later, or the keyring would have taken its place.
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
            logger.info("there is no usable keyring; sessions are kept in %s", file.path)
            file.put(texts)

    def _remove(self, server: str, username: str) -> None:
        file, name = self._file(), _name(server, username)
        file.remove([name, server] if file.get(server) == username else [name])
        for keyring in _usable_keyring():
            try:
                keyring.remove([name, server] if keyring.get(server) == username else [name])
            except ConfigurationError as exc:
                # Where there is a file, the keyring could not be used before either.
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
    """The system's keyring. Backends raise anything, of which only the kind is told: it may quote a token."""

    def get(self, name: str) -> str | None:
        """The text of that name; None where there is none, or none to be had."""
        import keyring

        try:
            return keyring.get_password(_APP, name)
        except Exception as exc:  # noqa: BLE001 - see above
            logger.info("the keyring cannot be read: %s", type(exc).__name__)
            return None

    def put(self, texts: Mapping[str, str]) -> bool:
        """Whether these texts are kept now, by their names."""
        import keyring

        try:
            for name, text in texts.items():
                keyring.set_password(_APP, name, text)
        except Exception as exc:  # noqa: BLE001 - see above
            logger.info("the keyring cannot be written: %s", type(exc).__name__)
            return False
        return True

    def remove(self, names: Iterable[str]) -> None:
        """Forget texts.

        Raises:
            ConfigurationError: One is there and cannot be removed.
        """
        import keyring

        for name in names:
            try:
                # Not by `get`, to which a keyring that is locked looks like one without the text.
                if keyring.get_password(_APP, name) is not None:
                    keyring.delete_password(_APP, name)
            except Exception as exc:  # noqa: BLE001 - see above
                failure = type(exc).__name__
                raise ConfigurationError(
                    f"The system's keyring does not remove {name!r} of {_APP!r} ({failure}); remove it there"
                ) from None


def _usable_keyring() -> Sequence[_Keyring]:
    """The system's keyring, if there is one that keeps anything."""
    try:
        import keyring
    except ImportError:
        raise MissingExtraError(_PURPOSE, _EXTRA) from None
    try:
        backend = keyring.get_keyring()
    except Exception as exc:  # noqa: BLE001 - whatever a configured backend raises when it is loaded
        logger.warning("the configured keyring cannot be loaded: %s", type(exc).__name__)
        return ()
    return () if type(backend).__module__ in _KEEPS_NOTHING else (_Keyring(),)


def _server(auth_url: str) -> str:
    """One name for all spellings of an address, without what is secret in it."""
    return str(httpx.URL(auth_url).copy_with(username=None, password=None)).rstrip("/")


def _name(server: str, username: str) -> str:
    return f"{server} {username}"


def _text(token: Token) -> str:
    """A token in the clear, for a place that is private."""
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
        logger.warning("a stored token is damaged and left out; log in again")
        return None
