"""What the auth service does, without HTTP: knows users, lets them in, gives them tokens."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr  # noqa: TC002 - pydantic reads the annotations

from cl_client._core.threads import in_thread
from cl_client.local.auth.form_fields import CommaList, Form
from cl_client.local.auth.passwords import Passwords
from cl_client.local.auth.signing_key import load_or_make_key
from cl_client.local.auth.tokens import Claims, InvalidTokenError, TokenAuthority
from cl_client.local.auth.users import User, UserStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from cl_client.local.auth.settings import AuthSettings
    from cl_client.local.generations import UserClaim

FIRST_USER: Final = "admin"


class Credentials(Form):
    """Who wants to log in."""

    username: str
    password: SecretStr


class NewUser(Credentials):
    """A user to be; the permissions are a comma list on the wire."""

    is_admin: bool = False
    is_active: bool = True
    permissions: CommaList = ()


class UserChanges(Form):
    """What is to be different of a user; None leaves it as it is."""

    password: SecretStr | None = None
    permissions: CommaList | None = None
    is_active: bool | None = None
    is_admin: bool | None = None


class AuthService:
    """The users of one server and their tokens; open it with `open`."""

    def __init__(self, users: UserStore, passwords: Passwords, tokens: TokenAuthority) -> None:
        self.users = users
        self.tokens = tokens
        self._passwords = passwords

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, settings: AuthSettings, user_claim: UserClaim
    ) -> AsyncGenerator[AuthService]:
        """A service that keeps its users and its key in a folder, with a first user if there is none yet.

        Raises:
            ConfigurationError: The folder's key cannot be used.
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
                first = NewUser(username=FIRST_USER, password=settings.admin_password, is_admin=True)
                await service.add_user(first)
            yield service
        finally:
            await users.close()

    async def log_in(self, credentials: Credentials) -> str | None:
        """A token for the user; None if there is nobody who may log in like this."""
        account = await self.users.account(credentials.username)
        password_hash = None if account is None else account.password_hash
        fits = await self._passwords.fits(credentials.password, password_hash)
        return self.token_for(account) if account is not None and fits and account.is_active else None

    def token_for(self, user: User, lifetime: float | None = None) -> str:
        """A token of this user, with the usual lifetime or another one in seconds."""
        claims = Claims(user_id=str(user.id), permissions=user.permissions, is_admin=user.is_admin)
        return self.tokens.issue(claims, lifetime)

    async def issue_token(self, username: str, lifetime: float | None = None) -> str:
        """A token without asking for the password.

        Raises:
            LookupError: There is no user of that name.
        """
        account = await self.users.account(username)
        if account is None:
            raise LookupError(f"There is no user {username!r}: create one at the auth service first")
        return self.token_for(account, lifetime)

    async def user_of(self, token: str) -> User:
        """Whose token this is.

        Raises:
            InvalidTokenError: It does not count, or not any more for this user.
        """
        user_id = self.tokens.check(token).user_id
        user = await self.users.get(int(user_id)) if user_id.isdecimal() else None
        if user is None or not user.is_active:
            raise InvalidTokenError
        return user

    async def add_user(self, new_user: NewUser) -> User:
        """Add a user.

        Raises:
            UsernameTakenError: There is one of that name.
        """
        return await self.users.add(
            new_user.username,
            await self._passwords.hash(new_user.password),
            new_user.permissions,
            is_admin=new_user.is_admin,
            is_active=new_user.is_active,
        )

    async def change_user(self, user_id: int, changes: UserChanges) -> User | None:
        """Change what is not None; the user as it is then, None if there is none of that id."""
        password = changes.password
        return await self.users.update(
            user_id,
            password_hash=None if password is None else await self._passwords.hash(password),
            permissions=changes.permissions,
            is_admin=changes.is_admin,
            is_active=changes.is_active,
        )
