"""The login that was kept, and what it is shown to: the servers that it was made for, and no other.

A settings file that merely lies in the current folder may name any server, so that alone must not be enough.
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
    """A login that was kept.

    Attributes:
        session: The login.
        is_for_server: Whether it was made for the server of the settings.
        doubts: Why it is kept back where it was not, and what to do.
    """

    session: Session
    is_for_server: bool
    doubts: str


async def load_login(settings: Settings, auth_url: str) -> Login:
    """The login that was kept for an auth service.

    Raises:
        AuthenticationError: Nobody is logged in there.
    """
    session = await Session.load(auth_url, settings.username, config=settings.client)
    doubts = (
        f"The login of {session.username} at {session.auth_url} is not shown to {_described(settings)}, "
        f"as it was not made for that. If you trust it: {login_command(settings)}"
    )
    return Login(session, _is_entrusted(session, settings), doubts)


def login_command(settings: Settings) -> str:
    """How to log in for the server of the settings."""
    auth_url = settings.auth_url or "URL"
    shown = "URL" if "@" in auth_url else auth_url
    return f"cl-client login --auth-url {shown} --server {settings.client.base_url}"


def login_remedy(settings: Settings) -> str:
    """What to do where the server of the settings asks for a login, and none is shown to it."""
    if settings.auth_url is None and (kept := _kept_for(settings)) is not None:
        auth_url, username = kept
        return f"{username} is logged in for this server at {auth_url}: add --auth-url {auth_url}"
    return f"To log in: {login_command(settings)}"


def entrust(session: Session, settings: Settings) -> None:
    """Let a login be shown to the server of the settings from now on."""
    with closing(_open()) as database:
        database.execute(
            "INSERT OR IGNORE INTO logins VALUES (?, ?, ?)", (*_key(session), _destination(settings))
        )


def forget_servers(session: Session) -> None:
    """Let a login be shown to no server any more."""
    if _path().is_file():
        with closing(_open()) as database:
            database.execute("DELETE FROM logins WHERE auth_url = ? AND username = ?", _key(session))


def way_by_folder(settings: Settings) -> Sequence[str]:
    """The settings by which the current folder's file decides over the way to servers."""
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
    """The auth service and the user of the last login that was made for the server of the settings."""
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
    """The server, with what the current folder's file says of the way there."""
    way = (f" {name}={_plain(settings, name)}" for name in way_by_folder(settings))
    return _origin(settings.client.base_url) + "".join(way)


def _plain(settings: Settings, name: str) -> str:
    value = cast("object", getattr(settings.client, name))
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _described(settings: Settings) -> str:
    way = way_by_folder(settings)
    by = f" by the {', '.join(way)} of this folder's {FILE_NAME}" if way else ""
    return f"{settings.client.base_url}{by}"


def _origin(url: str) -> str:
    """A URL's scheme, host and port, in one spelling."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
