"""The saved login, and the servers it may be sent to: only those that it was made for.

A settings file in the current folder may come from anybody and name any server, so naming a server there is
not enough.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from cl_client import Session
from cl_client_cli.database import explained, open_database
from cl_client_cli.frame.user_folders import data_folder
from cl_client_cli.settings.settings_file import FILE_NAME

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client_cli.settings.resolved import Settings

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE logins (
    auth_url TEXT NOT NULL,
    username TEXT NOT NULL,
    destination TEXT NOT NULL,
    PRIMARY KEY (auth_url, username, destination)
)
"""
_PORTS: Final = {"http": 80, "https": 443}
_WAY: Final = ("proxy", "ca_file", "insecure_skip_verify")
_BROKER: Final = ("mqtt_use_token", "mqtt_broker", "mqtt_port")


@dataclass(frozen=True, slots=True)
class Login:
    """A saved login.

    Attributes:
        session: The session with its tokens.
        is_for_server: Whether the login was made for the server of the settings.
        doubts: Why the login is not sent to another server, and what to do.
    """

    session: Session
    is_for_server: bool
    doubts: str


async def load_login(settings: Settings, auth_url: str) -> Login:
    """Load the saved login for an auth service.

    Args:
        settings: The settings of the command.
        auth_url: The URL of the auth service.

    Returns:
        The login.

    Raises:
        AuthenticationError: No login is saved for this auth service.
    """
    session = await Session.load(auth_url, settings.username, config=settings.client)
    doubts = (
        f"The login of {session.username} at {session.auth_url} is not sent to {_described(settings)}, "
        f"because you did not log in for it. If you trust it: {login_command(settings)}"
    )
    return Login(session, _is_entrusted(session, settings), doubts)


def login_command(settings: Settings) -> str:
    """The command that logs in for the server of the settings.

    Args:
        settings: The settings of the command.

    Returns:
        The command line.
    """
    auth_url = settings.auth_url or "URL"
    shown = "URL" if "@" in auth_url else auth_url
    return f"cl-client login --auth-url {shown} --server {settings.client.base_url}"


def login_remedy(settings: Settings) -> str:
    """What to do when the server requires a login and none is sent to it.

    Args:
        settings: The settings of the command.

    Returns:
        One sentence with a command or an option.
    """
    if settings.auth_url is None and (kept := _kept_for(settings)) is not None:
        auth_url, username = kept
        return f"{username} is logged in for this server at {auth_url}: add --auth-url {auth_url}"
    return f"To log in: {login_command(settings)}"


def entrust(session: Session, settings: Settings) -> None:
    """Allow a login to be sent to the server of the settings from now on.

    Args:
        session: The login.
        settings: The settings of the command.
    """
    with closing(_open()) as database:
        database.execute(
            "INSERT OR IGNORE INTO logins VALUES (?, ?, ?)", (*_key(session), _destination(settings))
        )


def forget_servers(session: Session) -> None:
    """Do not send a login to any server any more.

    Args:
        session: The login.
    """
    if _path().is_file():
        with closing(_open()) as database:
            database.execute("DELETE FROM logins WHERE auth_url = ? AND username = ?", _key(session))


def way_by_folder(settings: Settings) -> Sequence[str]:
    """Find the settings in the current folder's file that change how servers are reached.

    Args:
        settings: The settings of the command.

    Returns:
        Their names, for instance ``proxy``.
    """
    names = (*_WAY, *_BROKER) if settings.client.mqtt_use_token else _WAY
    return [name for name in names if name in settings.from_folder]


def _is_entrusted(session: Session, settings: Settings) -> bool:
    if not _path().is_file():
        return False
    query = "SELECT 1 FROM logins WHERE auth_url = ? AND username = ? AND destination = ?"
    with closing(_open()) as database:
        found = database.execute(query, (*_key(session), _destination(settings)))
        return cast("object", found.fetchone()) is not None


def _kept_for(settings: Settings) -> tuple[str, str] | None:
    """The auth service and the user of the most recent login for the server of the settings."""
    if not _path().is_file():
        return None
    query = "SELECT auth_url, username FROM logins WHERE destination = ? ORDER BY rowid DESC LIMIT 1"
    with closing(_open()) as database, explained(_path()):
        found = database.execute(query, (_destination(settings),))
        return cast("tuple[str, str] | None", found.fetchone())


def _open() -> sqlite3.Connection:
    return open_database(_path(), _SCHEMA, _VERSION)


def _path() -> Path:
    return data_folder() / "logins.sqlite"


def _key(session: Session) -> tuple[str, str]:
    return _origin(session.auth_url) + urlsplit(session.auth_url).path.rstrip("/"), session.username


def _destination(settings: Settings) -> str:
    """The server, with the settings of the current folder's file that change how it is reached."""
    way = (f" {name}={_plain(settings, name)}" for name in way_by_folder(settings))
    return _origin(settings.client.base_url) + "".join(way)


def _plain(settings: Settings, name: str) -> str:
    value = cast("object", getattr(settings.client, name))
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _described(settings: Settings) -> str:
    way = way_by_folder(settings)
    by = f" with {', '.join(way)} from this folder's {FILE_NAME}" if way else ""
    return f"{settings.client.base_url}{by}"


def _origin(url: str) -> str:
    """A URL's scheme, host and port in normalised form."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
