"""The operations of the auth service, without HTTP: manage users, log them in, issue tokens."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, Field, SecretStr

from cl_client._core.threads import in_thread
from cl_client._errors import ConfigurationError
from cl_client.local.auth.form_fields import CommaList, Form
from cl_client.local.auth.passwords import Passwords
from cl_client.local.auth.settings import DEFAULT_ADMIN_PASSWORD
from cl_client.local.auth.signing_key import load_or_make_key
from cl_client.local.auth.tokens import Claims, InvalidTokenError, TokenAuthority
from cl_client.local.auth.users import User, UserStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from cl_client.local.auth.settings import AuthSettings
    from cl_client.local.generations import UserClaim

FIRST_USER: Final = "admin"
LARGEST_ROW: Final = 2**63 - 1
"""SQLite's limit."""


class Credentials(Form):
    """The user name and password of a login."""

    username: str
    password: SecretStr


class NewUser(Credentials):
    """A user to add; the permissions are comma-separated on the wire."""

    is_admin: bool = False
    is_active: bool = True
    permissions: CommaList = ()


class UserChanges(Form):
    """Changes of a user; None keeps a value."""

    password: SecretStr | None = None
    permissions: CommaList | None = None
    is_active: bool | None = None
    is_admin: bool | None = None


class UserPath(BaseModel):
    """The path of a user."""

    user_id: Annotated[int, Field(ge=-LARGEST_ROW, le=LARGEST_ROW)]


class Page(BaseModel):
    """The query of a list of users."""

    skip: Annotated[int, Field(ge=0, le=LARGEST_ROW)] = 0
    limit: Annotated[int, Field(ge=0, le=LARGEST_ROW)] = 100


class AuthService:
    """The users of one server and their tokens. Open it with `open`."""

    def __init__(self, users: UserStore, passwords: Passwords, tokens: TokenAuthority) -> None:
        self.users = users
        self.tokens = tokens
        self._passwords = passwords

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, settings: AuthSettings, user_claim: UserClaim
    ) -> AsyncGenerator[AuthService]:
        """Open a service that stores its users and its signing key in a folder.

        If the folder has no users, the user ``admin`` is added.

        Args:
            folder: The folder; created if it does not exist.
            settings: The settings of the service.
            user_claim: The token claim that holds the user's id.

        Yields:
            The service, until the context is closed.

        Raises:
            ConfigurationError: The signing key in the folder is invalid.
        """
        await in_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        key = await in_thread(load_or_make_key, folder / "signing_key.pem")
        tokens = TokenAuthority(
            key,
            lifetime=settings.token_lifetime,
            clock_offset=settings.clock_offset,
            user_claim=user_claim,
        )
        users = await UserStore.open(folder / "users.sqlite3")
        try:
            service = cls(users, await Passwords.create(), tokens)
            if await users.is_empty():
                first = NewUser(
                    username=FIRST_USER, password=settings.admin_password, is_admin=True, permissions=("*",)
                )
                await service.add_user(first)
            yield service
        finally:
            await users.close()

    async def log_in(self, credentials: Credentials) -> str | None:
        """Log in a user.

        Args:
            credentials: The user name and password.

        Returns:
            A token; None if the user is unknown or inactive, or the password is wrong.
        """
        account = await self.users.account(credentials.username)
        password_hash = None if account is None else account.password_hash
        fits = await self._passwords.fits(credentials.password, password_hash)
        return self.token_for(account) if account is not None and fits and account.is_active else None

    async def refuse_default_password(self, what: str) -> None:
        """Check that not everyone can log in.

        Args:
            what: What would be open to everyone, as the start of the error's sentence.

        Raises:
            ConfigurationError: The first user has the default password.
        """
        default = Credentials(username=FIRST_USER, password=SecretStr(DEFAULT_ADMIN_PASSWORD))
        if await self.log_in(default) is not None:
            raise ConfigurationError(
                f"{what}: everyone can log in, as the user {FIRST_USER} has the default password. Give a new "
                "server another admin_password; on a server with users, change the password"
            )

    def token_for(self, user: User, lifetime: float | None = None) -> str:
        """Issue a token for a user.

        Args:
            user: The user.
            lifetime: Seconds that the token is valid; None for the configured lifetime.

        Returns:
            The token, a JWT.
        """
        claims = Claims(user_id=str(user.id), permissions=user.permissions, is_admin=user.is_admin)
        return self.tokens.issue(claims, lifetime)

    async def issue_token(self, username: str, lifetime: float | None = None) -> str:
        """Issue a token without the password.

        Args:
            username: The user's name.
            lifetime: Seconds that the token is valid, negative for an expired one; None for the configured
                lifetime.

        Returns:
            The token, a JWT.

        Raises:
            LookupError: The user was not found.
        """
        account = await self.users.account(username)
        if account is None:
            raise LookupError(f"User {username!r} was not found: create it at the auth service first")
        return self.token_for(account, lifetime)

    async def user_of(self, token: str) -> User:
        """Find the user of a token.

        Args:
            token: The token, a JWT.

        Returns:
            The user.

        Raises:
            InvalidTokenError: The token is invalid or expired, or the user was deleted or is inactive.
        """
        user_id = self.tokens.check(token).user_id
        user = await self.users.get(int(user_id)) if user_id.isdecimal() else None
        if user is None or not user.is_active:
            raise InvalidTokenError
        return user

    async def add_user(self, new_user: NewUser) -> User:
        """Add a user.

        Args:
            new_user: The user to add.

        Returns:
            The stored user.

        Raises:
            UsernameTakenError: A user with this name exists.
        """
        return await self.users.add(
            new_user.username,
            await self._passwords.hash(new_user.password),
            new_user.permissions,
            is_admin=new_user.is_admin,
            is_active=new_user.is_active,
        )

    async def change_user(self, user_id: int, changes: UserChanges) -> User | None:
        """Change a user.

        Args:
            user_id: The user's id.
            changes: The new values.

        Returns:
            The changed user; None if it was not found.
        """
        password = changes.password
        return await self.users.update(
            user_id,
            password_hash=None if password is None else await self._passwords.hash(password),
            permissions=changes.permissions,
            is_admin=changes.is_admin,
            is_active=changes.is_active,
        )
