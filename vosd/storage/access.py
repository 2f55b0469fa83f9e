"""Tokens of programs and roles of the installation's own in MySQL and SQLite; does not know what roles allow."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, delete, insert, or_, select, update

from vosd.base.errors import VosError
from vosd.cdr.kinds import ACCOUNT_LENGTH, NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.types import descriptive, identifying

USE_NOTED_MS: Final = 60_000
"""Time for which a further use of a token is not written."""
_token: Final = schema.api_token
_role: Final = schema.access_role
_person: Final = schema.person
_makers_role: Final = _role.alias()
_in_use: Final = (
    select(
        _token,
        _role.c.acts_for,
        _role.c.permissions,
        _role.c.wants_totp,
        _person.c.name.label("person_name"),
        _person.c.role.label("person_role"),
        _person.c.disabled_at.label("person_disabled_at"),
        _makers_role.c.acts_for.label("person_acts_for"),
        _makers_role.c.permissions.label("person_permissions"),
        _makers_role.c.wants_totp.label("person_wants_totp"),
    )
    .join_from(_token, _role, _role.c.name == _token.c.role, isouter=True)
    .join(_person, _person.c.name == _token.c.maker, isouter=True)
    .join(_makers_role, _makers_role.c.name == _person.c.role, isouter=True)
    .where(_token.c.id == bindparam("token"))
)
"""Made once: each request reads it."""
AT_TERMINAL: Final = " terminal"
"""Maker of tokens that were made at the terminal; the space keeps it apart from people, whose names begin with none."""
OF_TOKEN: Final = "token "  # noqa: S105 - the beginning of a name, no secret
"""Beginning of the name by which records name a token; its id follows."""
MAKERS_MAX: Final = 8
"""Tokens of which each has made the next one, the last one included: each is read when that is used."""


class NoSuchRoleError(VosError):
    """No role has the name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no role {name!r}: vosd user roles lists them")


class LastAdministratorError(VosError):
    """Without this person or role no person would have all permissions."""

    def __init__(self, name: str) -> None:
        """``name``: the person or role."""
        super().__init__(
            f"without {name} no person who can log in has all permissions: make another administrator before "
            "(vosd user add NAME --role administrator), or end the sessions with vosd user reset"
        )


class RoleInUseError(VosError):
    """People or tokens have the role."""


class RoleChangedError(VosError):
    """Another order has changed the role at the same time."""

    code = "changed_meanwhile"


class NoSuchTokenError(VosError):
    """No token has the id, or it was revoked before."""


class StoredToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret. Times are UTC milliseconds."""

    id: str
    name: str
    digest: str
    """SHA-256 of the secret, in hexadecimal digits."""
    role: str
    scopes: tuple[str, ...] = ()
    account: str | None = None
    networks: tuple[str, ...] = ()
    created_at: int
    created_by: str
    expires_at: int | None = None
    used_at: int | None = None
    revoked_at: int | None = None
    maker: str | None = None
    """Person, or ``OF_TOKEN`` and the id of the token, that has made it, or ``AT_TERMINAL``.

    None = it is not known: a program before schema 0096 has made it.
    """


class StoredRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role of the installation's own, or a demand on one that ships."""

    name: str
    acts_for: str
    permissions: tuple[str, ...] | None
    """None = those that it ships with."""
    wants_totp: bool


Administering = Callable[[Sequence[StoredRole]], Collection[str]]
"""Returns the names of the roles that have all permissions, the stored ones being these."""


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """A person who has made a token, as it is now."""

    name: str
    role: str
    stored_role: StoredRole | None
    """The row of the role; None = it ships, or is gone."""
    disabled_at: int | None


class TokenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A token with those who have made it, as they are now."""

    tokens: Sequence[tuple[StoredToken, StoredRole | None]]
    """The token, the token that has made it, and so on, each with what is stored of its role."""
    person: Maker | None
    """Person who has made the last of them; None = it was made at the terminal, or its maker is not known."""

    @property
    def makers(self) -> tuple[str, ...]:
        """Logins of those who have made the token, each by the next one, a person last."""
        tokens = tuple(f"{OF_TOKEN}{token.id}" for token, _ in self.tokens[1:])
        first = self.tokens[-1][0].maker
        return tokens if first in {None, AT_TERMINAL} else (*tokens, str(first))


class SqlAccess(SqlStore):
    """Reads and writes tokens and roles."""

    @repeated
    async def add_token(
        self, token: StoredToken, audit: AuditLine | None = None, *, own_role: str | None = None
    ) -> None:
        """Write a new token; ``own_role`` as ``hold_role`` takes it, which raises NoSuchRoleError."""
        values = msgspec.structs.asdict(token) | {
            "name": identifying(token.name, NAME_LENGTH),
            "account": None if token.account is None else identifying(token.account, ACCOUNT_LENGTH),
            "created_by": descriptive(token.created_by, NAME_LENGTH),
            "scopes": json.dumps(token.scopes),
            "networks": json.dumps(token.networks),
        }
        async with self._database.writing() as connection:
            await hold_role(connection, own_role)
            await connection.execute(insert(_token).values(**values))
            await note(connection, audit)

    async def token(self, token_id: str) -> StoredToken | None:
        """Return a token, also one that was revoked; None where there is none."""
        row = await self._database.row(select(_token).where(_token.c.id == token_id))
        return _token_of(row) if row is not None and row.id == token_id else None  # MySQL ignores spaces at the end

    async def line_of(self, token_id: str) -> TokenLine | None:
        """Return a token, also one that was revoked, with those who have made it; None where there is none."""
        tokens: list[tuple[StoredToken, StoredRole | None]] = []
        following: str | None = token_id
        person = None
        async with self._database.reading() as connection:
            while following is not None and len(tokens) < MAKERS_MAX:
                row = (await connection.execute(_in_use, {"token": following})).one_or_none()
                if row is None:
                    break
                token = _token_of(row)
                tokens.append((token, None if row.acts_for is None else _role_of(row.role, row)))
                person = _maker_of(row)
                following = maker_token_of(token)
        return TokenLine(tokens=tokens, person=person) if tokens else None

    async def tokens(self) -> Sequence[StoredToken]:
        """Return all tokens, in the order in which they were made."""
        rows = await self._database.rows(select(_token).order_by(_token.c.created_at, _token.c.id))
        return [_token_of(row) for row in rows]

    @repeated
    async def revoke(self, token_id: str, at: int, audit: AuditLine | None = None) -> None:
        """End a token; raises NoSuchTokenError, too."""
        own = update(_token).where(_token.c.id == token_id, _token.c.revoked_at.is_(None))
        async with self._database.writing() as connection:
            if (await connection.execute(own.values(revoked_at=at))).rowcount != 1:
                raise NoSuchTokenError(f"no token {token_id} that could be revoked: vosd token list has them")
            await note(connection, audit)

    async def note_use(self, token_id: str, at: int) -> None:
        """Write when a token was used, at most once a minute."""
        column = _token.c.used_at
        own = update(_token).where(_token.c.id == token_id, or_(column.is_(None), column <= at - USE_NOTED_MS))
        await self._database.write(own.values(used_at=at))

    async def role(self, name: str) -> StoredRole | None:
        """Return a role; None where there is none."""
        row = await self._database.row(select(_role).where(_role.c.name == name))
        return _role_of(row.name, row) if row is not None and row.name == name else None  # as of a token

    async def roles(self) -> Sequence[StoredRole]:
        """Return all roles by name."""
        rows = await self._database.rows(select(_role).order_by(_role.c.name))
        return [_role_of(row.name, row) for row in rows]

    @repeated
    async def set_role(
        self, before: StoredRole | None, role: StoredRole, administering: Administering, audit: AuditLine | None = None
    ) -> None:
        """Add a role, or replace the one of its name, as it was ``before``; None = there was none.

        Raises RoleChangedError where it is another one by now, and LastAdministratorError, too.
        """
        values = msgspec.structs.asdict(role) | {
            "name": identifying(role.name, NAME_LENGTH),
            "permissions": json.dumps(role.permissions),
            "wants_totp": int(role.wants_totp),
        }
        async with self._database.writing() as connection:
            if await _keep_administrators(connection, administering, role.name, role) != before:
                raise RoleChangedError(f"role {role.name} was changed at the same time: do the same again")
            await connection.execute(delete(_role).where(_role.c.name == role.name))
            await connection.execute(insert(_role).values(**values))
            await note(connection, audit)

    @repeated
    async def drop_role(self, name: str, administering: Administering, audit: AuditLine | None = None) -> None:
        """Remove a role that neither people nor tokens have.

        Raises NoSuchRoleError, RoleInUseError and LastAdministratorError, too.
        """
        token = select(_token.c.id).where(_token.c.role == name, _token.c.revoked_at.is_(None))
        person = select(_person.c.name).where(_person.c.role == name)
        async with self._database.writing() as connection:
            await _keep_administrators(connection, administering, name, None)
            await hold_role(connection, name)
            used = await connection.scalar(token.order_by(_token.c.created_at, _token.c.id).limit(1))
            if used is not None:
                raise RoleInUseError(f"role {name} is of token {used}: revoke it before")
            used = await connection.scalar(person.order_by(_person.c.name).limit(1))
            if used is not None:
                raise RoleInUseError(f"role {name} is of {used}: give another one before")
            await connection.execute(delete(_role).where(_role.c.name == name))
            await note(connection, audit)


async def hold_role(connection: AsyncConnection, own_role: str | None) -> None:
    """Lock a role until the open transaction ends: so what gives it and what drops it come one after the other.

    ``own_role`` is one of the installation's own; None = one that ships, which is never dropped.

    Raises:
        NoSuchRoleError: it was dropped.
    """
    if own_role is not None:
        held = select(_role.c.name).where(_role.c.name == own_role).with_for_update()
        if await connection.scalar(held) is None:
            raise NoSuchRoleError(own_role)


async def hold_administrators(
    connection: AsyncConnection, administering: Administering
) -> tuple[Sequence[StoredRole], Mapping[str, str]]:
    """Lock all roles, and the people who can log in with all permissions, until the open transaction ends.

    Return the roles, and these people, each with its role. All are locked in one order: so of two changes that together
    would leave no such person, the second sees the first. ``hold_role`` comes behind it.
    """
    rows = await connection.execute(select(_role).order_by(_role.c.name).with_for_update())
    roles = [_role_of(row.name, row) for row in rows]
    can_log_in = _person.c.password.is_not(None), _person.c.disabled_at.is_(None)
    able = select(_person.c.name, _person.c.role).where(_person.c.role.in_(administering(roles)), *can_log_in)
    people = await connection.execute(able.order_by(_person.c.name).with_for_update())
    return roles, {row.name: row.role for row in people}


async def _keep_administrators(
    connection: AsyncConnection, administering: Administering, name: str, role: StoredRole | None
) -> StoredRole | None:
    """Check that people have all permissions also with another role of a name; None = without it.

    Return what is stored of the role now; None = nothing.

    Raises:
        LastAdministratorError: none would.
    """
    roles, able = await hold_administrators(connection, administering)
    others = [each for each in roles if each.name != name]
    left = administering(others if role is None else [*others, role])
    if able and set(able.values()).isdisjoint(left):
        raise LastAdministratorError(name)
    return next((each for each in roles if each.name == name), None)


def maker_token_of(token: StoredToken) -> str | None:
    """Return the id of the token that has made a token; None = no token has."""
    if token.maker is None or not token.maker.startswith(OF_TOKEN):
        return None
    return token.maker.removeprefix(OF_TOKEN)


def _maker_of(row: Any) -> Maker | None:
    if row.person_name is None:
        return None
    role = None
    if row.person_acts_for is not None:
        role = _stored_role(row.person_role, row.person_acts_for, row.person_permissions, row.person_wants_totp)
    return Maker(name=row.person_name, role=row.person_role, stored_role=role, disabled_at=row.person_disabled_at)


def _token_of(row: Any) -> StoredToken:
    values = {name: getattr(row, name) for name in StoredToken.__struct_fields__}
    lists = {name: tuple(json.loads(values[name])) for name in ("scopes", "networks")}
    return StoredToken(**values | lists)


def _role_of(name: str, row: Any) -> StoredRole:
    return _stored_role(name, row.acts_for, row.permissions, row.wants_totp)


def _stored_role(name: str, acts_for: str, written: str, wants_totp: int) -> StoredRole:
    permissions = json.loads(written)
    return StoredRole(
        name=name,
        acts_for=acts_for,
        permissions=None if permissions is None else tuple(permissions),
        wants_totp=bool(wants_totp),
    )
