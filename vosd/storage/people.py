"""People who log in, and their sessions, in MySQL and SQLite; does not know how anything is proved."""

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import delete, insert, select, update

from vosd.base.errors import VosError
from vosd.cdr.kinds import ACCOUNT_LENGTH, ADDRESS_LENGTH, NAME_LENGTH
from vosd.storage import schema
from vosd.storage.access import Administering, LastAdministratorError, hold_administrators, hold_role
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import Database, repeated
from vosd.storage.saved_views import SqlSavedViews, unshare
from vosd.storage.types import descriptive, identifying

_person: Final = schema.person
_session: Final = schema.person_session
_COMPARED: Final = ("role", "password", "totp", "identity", "disabled_at")


class PersonExistsError(VosError):
    """A person has the name already; it is never given to another one, because the records have it."""


class StoredPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person. Times are UTC milliseconds."""

    name: str
    role: str
    account: str | None = None
    password: str | None = None
    """argon2id in PHC form; None = it cannot log in yet."""
    totp: str | None = None
    """Secret of the second factor, encrypted."""
    totp_step: int | None = None
    """Step of the last code that was used."""
    totp_begun: str | None = None
    """Such a secret that no code has confirmed yet."""
    recovery: tuple[str, ...] = ()
    """SHA-256 of each recovery code that is left."""
    link: str | None = None
    """SHA-256 of the secret of the one-time link."""
    link_until: int | None = None
    identity: str | None = None
    """SHA-256 of issuer and subject at the identity provider by which it logs in."""
    disabled_at: int | None = None
    created_at: int
    created_by: str
    logged_in_at: int | None = None

    @property
    def can_log_in(self) -> bool:
        """Whether it has a password and is not disabled."""
        return self.password is not None and self.disabled_at is None


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session of a person. Times are UTC milliseconds."""

    digest: str
    person: str
    csrf: str
    source: str
    created_at: int
    used_at: int
    ends_at: int
    by_provider: int = 0
    """1 = an identity provider has vouched for the person, the second factor included."""


class SqlPeople:
    """Reads and writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.views: Final = SqlSavedViews(database)
        """Views of pages of the console that they keep by name."""

    @repeated
    async def add(self, person: StoredPerson, audit: AuditLine | None = None, *, own_role: str | None = None) -> None:
        """Write a new person; ``own_role`` as ``hold_role`` takes it.

        Raises PersonExistsError and NoSuchRoleError, too.
        """
        values = _values(person) | {
            "name": identifying(person.name, NAME_LENGTH),
            "account": None if person.account is None else identifying(person.account, ACCOUNT_LENGTH),
            "created_by": descriptive(person.created_by, NAME_LENGTH),
        }
        same = select(_person.c.name).where(_person.c.name == person.name)
        async with self._database.writing() as connection:
            if (await connection.execute(same)).first() is not None:
                raise PersonExistsError(f"there is a person {person.name} already: vosd user list has all of them")
            await hold_role(connection, own_role)
            await connection.execute(insert(_person).values(**values))
            await note(connection, audit)

    async def find(self, name: str) -> StoredPerson | None:
        """Return a person; None where there is none."""
        found = await self._one(_person.c.name == name)
        return found if found is not None and found.name == name else None  # MySQL ignores spaces at the end

    async def of_link(self, digest: str) -> StoredPerson | None:
        """Return the person of a one-time link; None where there is none."""
        return await self._one(_person.c.link == digest)

    async def of_identity(self, digest: str) -> StoredPerson | None:
        """Return the person of an identity at a provider; None where there is none."""
        return await self._one(_person.c.identity == digest)

    async def all(self) -> Sequence[StoredPerson]:
        """Return all people by name."""
        rows = await self._database.rows(select(_person).order_by(_person.c.name))
        return [_person_of(row) for row in rows]

    @repeated
    async def change(
        self,
        before: StoredPerson,
        after: StoredPerson,
        audit: AuditLine | None = None,
        *,
        ends_sessions: bool = False,
        opens: StoredSession | None = None,
        administering: Administering | None = None,
        own_role: str | None = None,
    ) -> bool:
        """Write the fields that differ; end the sessions, then open one. ``own_role`` as ``hold_role`` takes it.

        Views of one who acts for an account from now on are shared no longer.

        Returns False, without a change, where these fields, or those by which a person proves itself, are not as
        before any more: so a code or a link is used once, and a log-in is none after a reset.

        Raises NoSuchRoleError, and with ``administering`` LastAdministratorError where no person who can log in would
        have all permissions any more.
        """
        old, new = _values(before), _values(after)
        changed = {name: value for name, value in new.items() if value != old[name]}
        own = update(_person).where(_person.c.name == before.name)
        for name in {*changed, *_COMPARED} - {"logged_in_at"}:
            column = _person.c[name]
            own = own.where(column.is_(None) if old[name] is None else column == old[name])
        async with self._database.writing() as connection:
            if administering is not None:
                roles, able = await hold_administrators(connection, administering)
                stays = after.can_log_in and after.role in administering(roles)
                if list(able) == [before.name] and not stays:
                    raise LastAdministratorError(before.name)
            await hold_role(connection, own_role)
            written = await connection.execute(own.values(**changed or {"name": before.name}))
            if written.rowcount != 1:
                return False
            if after.account is not None and before.account is None:
                await unshare(connection, before.name)
            if ends_sessions:
                await connection.execute(delete(_session).where(_session.c.person == before.name))
            if opens is not None:
                values = msgspec.structs.asdict(opens) | {"source": descriptive(opens.source, ADDRESS_LENGTH)}
                await connection.execute(delete(_session).where(_session.c.ends_at <= opens.created_at))
                await connection.execute(insert(_session).values(**values))
            await note(connection, audit)
        return True

    async def session(self, digest: str) -> tuple[StoredSession, StoredPerson] | None:
        """Return a session and its person; None where there is none."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(_session).where(_session.c.digest == digest))).one_or_none()
            if row is None:
                return None
            person = (await connection.execute(select(_person).where(_person.c.name == row.person))).one_or_none()
        return None if person is None else (StoredSession(**row._mapping), _person_of(person))

    async def note_use(self, digest: str, at: int) -> None:
        """Write when a session was used."""
        own = update(_session).where(_session.c.digest == digest)
        await self._database.write(own.values(used_at=at))

    async def end_session(self, digest: str) -> None:
        """Remove a session, if it is there."""
        await self._database.write(delete(_session).where(_session.c.digest == digest))

    async def end_sessions(self, roles: Sequence[str]) -> None:
        """Remove the sessions of all people of some roles."""
        people = select(_person.c.name).where(_person.c.role.in_(roles))
        await self._database.write(delete(_session).where(_session.c.person.in_(people)))

    async def _one(self, wanted: Any) -> StoredPerson | None:
        row = await self._database.row(select(_person).where(wanted))
        return None if row is None else _person_of(row)


def _values(person: StoredPerson) -> dict[str, Any]:
    return msgspec.structs.asdict(person) | {"recovery": json.dumps(person.recovery)}


def _person_of(row: Any) -> StoredPerson:
    values = dict(row._mapping)
    return StoredPerson(**values | {"recovery": tuple(json.loads(values["recovery"]))})
